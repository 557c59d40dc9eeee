"""A Windows VM without a machine version sees other hardware after a QEMU upgrade, and may lose its activation or its display."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="machine-unpinned",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REPORT,
    remedy="Name the machine with its version, such as pc-i440fx-7.1; {made}.",
)

_MADE = re.compile(r"creation-qemu=(\d+\.\d+)")


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    kind = config.get("machine", "").split(",")[0].removeprefix("type=")
    # PVE pins the version by itself when it makes a Windows VM whose machine is named without one.
    made_by_pve = not guest.observed
    if not config.get("ostype", "").startswith("w") or kind not in ("", "pc", "q35") or made_by_pve:
        return rule.clear()
    made = _MADE.search(config.get("meta", ""))
    return rule.found(
        f"the machine of a Windows VM has no version ({kind or 'not set'})",
        [guest.evidence("machine"), guest.evidence("ostype")],
        made=f"it was made with QEMU {made[1]}" if made else "with which QEMU it was made is not recorded",
    )
