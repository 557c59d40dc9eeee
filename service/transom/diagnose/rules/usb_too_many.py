"""More than five USB devices need a newer machine and a system that knows xHCI."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="usb-too-many",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Use at most usb0 to usb4, or a machine from 7.1 on with ostype l26, win8, win10 or win11.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    beyond = [key for number in range(5, 14) if (key := f"usb{number}") in config]
    version = _VERSION.search(config.get("machine", ""))
    old = version is not None and (int(version[1]), int(version[2])) < (7, 1)
    if not beyond or (config.get("ostype", "other") in _MODERN and not old):
        return rule.clear()
    said = f"using {beyond[0]} is only possible with machine type >= 7.1 and ostype l26 or windows > 7"
    return rule.found(
        f"VM start fails with `{said}`",
        [guest.evidence(key) for key in (beyond[0], "machine", "ostype")],
        holds=guest.names(*beyond, "machine", "ostype"),
    )


_MODERN = frozenset({"l26", "win8", "win10", "win11"})
_VERSION = re.compile(r"pc-(?:i440fx|q35)-(\d+)\.(\d+)")
