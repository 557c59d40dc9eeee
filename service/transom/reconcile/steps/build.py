"""Running what the boot is rebuilt with, and taking the mark away once it has succeeded."""

from __future__ import annotations

import shlex

from transom import errors, model
from transom.host import rebuild
from transom.host.probes import sysctl
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w

LIMIT = 1800
"""Seconds for one rebuild: an initramfs for every installed kernel on a slow disk."""
_BY_HAND = "run it by hand on the node"
_HINTS = {model.Step.SYSCTL: "put it right under sysctl in the document"}
# kernel-install does not sync, and FAT keeps no order: else the mark may go and an ESP be half written.
_DONE = """
for at in /boot /boot/efi /efi; do [ ! -d "$at" ] || sync -f "$at" || exit; done
rm -f "$1" && { [ ! -d "${1%/*}" ] || sync "${1%/*}"; }
"""


def prepare(action: acts.RunStep, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: acts.RunStep, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Rejected with the end of the command's output when it fails; the mark stays, so that the next run does it again."""
    del effect, context
    command = action.line
    done = world.host.run(shlex.split(command), timeout=LIMIT)
    if done.exit != 0:
        tail = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-5:]
        raise errors.Rejected(
            f"{rebuild.said(command)} ended with {done.exit}: {' / '.join(tail)}",
            hint=_HINTS.get(action.step, _BY_HAND),
        )
    if action.step is model.Step.SYSCTL and (seen := world.host.script(sysctl.MARK, [], timeout=LIMIT)).exit != 0:
        raise errors.Rejected(f"cannot keep what /proc/sys shows: {seen.stderr.decode(errors='replace').strip()}")
    mark = world.host.script(_DONE, [f"{eff.KEEP}/dirty/{action.step}"], timeout=LIMIT)
    if mark.exit != 0:
        why = mark.stderr.decode(errors="replace").strip()
        raise errors.Rejected(f"cannot write out /boot and remove {eff.KEEP}/dirty/{action.step}: {why}")
    return f"{rebuild.said(command)}: done"
