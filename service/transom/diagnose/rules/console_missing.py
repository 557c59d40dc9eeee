"""`vga: serialN` where that port is no socket: PVE starts the VM, and its console, which is that port then, does not open."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="console-missing",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REPORT,
    remedy="Set {port}: socket, or another vga.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    named = re.fullmatch(r"(?:type=)?(serial[0-3])", config.get("vga", "").partition(",")[0])
    if named is None or config.get(named[1]) == "socket":
        return rule.clear()
    port = named[1]
    said = (
        f"wrong serial type on interface '{port}'" if port in config else f"serial interface '{port}' is not configured"
    )
    return rule.found(
        f"the VM's console does not open: `{said}`", [guest.evidence("vga"), guest.evidence(port)], port=port
    )
