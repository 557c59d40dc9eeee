"""The wanted boot order names a drive or card that the VM does not have: PVE refuses the whole change."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="boot-order-missing",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Take {missing} out of the boot order, or give the VM such a device.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    if not guest.names("boot"):
        return rule.clear()  # one that stands there is skipped at start
    found = _ORDER.search(config.get("boot", ""))
    missing = [name for name in re.split(r"[;\s]+", found[1]) if name and name not in config] if found else []
    if not missing:
        return rule.clear()
    return rule.found(
        f"PVE refuses it with `invalid bootorder: device '{missing[0]}' does not exist'`",
        [guest.evidence("boot")],
        holds=True,
        missing=", ".join(missing),
    )


_ORDER = re.compile(r"(?:^|,)order=([^,]*)")
