"""Writing, removing and restoring a file on a node, with before-image, and marks of what is owed afterwards."""

from __future__ import annotations

import hashlib
import posixpath

from transom import errors, model
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

_OWE = """
set -eu
keep=$1 boot=$2
shift 2
mkdir -p -m 0700 "$keep/dirty"
if [ -n "$boot" ]; then
    printf '%s\\n' "$boot" > "$keep/reboot-from.new"
    sync "$keep/reboot-from.new" # else a loss of power may leave it with its name and without its content
    mv "$keep/reboot-from.new" "$keep/reboot-from"
fi
for step; do : > "$keep/dirty/$step"; done
sync "$keep/dirty" "$keep"
"""


def owe(host: w.Host, steps: tuple[model.Step, ...], *, boot_id: str) -> None:
    """Note on the node, before a file changes, which steps (and with ``boot_id``, that a reboot) the change makes due."""
    done = host.script(_OWE, [eff.KEEP, boot_id, *steps])
    if done.exit != 0:
        raise errors.Rejected(f"cannot write below {eff.KEEP}: {done.stderr.decode(errors='replace').strip()}")


def owe_no_reboot(host: w.Host) -> None:
    """Take the mark of an owed reboot away: what made it due has been taken back, and never ran. Without a shell there is none."""
    if not w.has_shell(host):
        return
    done = host.run(["rm", "-f", f"{eff.KEEP}/reboot-from"])
    if done.exit != 0:
        raise errors.Rejected(f"cannot remove {eff.KEEP}/reboot-from")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def prepare(action: acts.WriteFile | acts.RemoveFile | acts.RestoreFile, world: w.World) -> eff.Effect:
    del world
    if isinstance(action, acts.WriteFile):
        after: str | None = sha256(action.text.encode())
    else:
        after = action.before_sha256 if isinstance(action, acts.RestoreFile) else None
    before = action.expect_sha256 if isinstance(action, acts.RestoreFile) else action.before_sha256
    return eff.Effect(action.path, before, after, action.after, action.owes)


def apply(
    action: acts.WriteFile | acts.RemoveFile | acts.RestoreFile,
    effect: eff.Effect,
    world: w.World,
    context: eff.Context,
) -> str:
    del effect
    if action.after or action.owes:
        owe(world.host, action.after, boot_id=context.boot_id if action.owes else "")
    if isinstance(action, acts.WriteFile):
        remote.write(
            world.host,
            action.path,
            action.text.encode(),
            mode=action.mode,
            expect=action.before_sha256,
            backup=context.backup,
        )
        return f"{action.path} holds what was planned"
    if isinstance(action, acts.RemoveFile):
        remote.remove(world.host, action.path, expect=action.before_sha256, backup=context.backup)
        return f"{action.path} is gone"
    on_pmxcfs, folder = action.vmid is not None, posixpath.dirname(action.backup)
    remote.restore(world.host, action.path, expect=action.expect_sha256, backup=folder, on_pmxcfs=on_pmxcfs)
    return f"{action.path} is as it was"
