"""Legacy IGD mode is for the device at 00:02.0 alone."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-address",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Give the iGPU, which is at 0000:00:02.0, or drop legacy-igd=1 for another device.",
)

_MESSAGE = "legacy IGD assignment only works for devices on host bus 00:02.0"


def judge(guest: view.Guest) -> rule.Verdict:
    return _legacy.judge(guest, _MESSAGE, _elsewhere, "hostpci")


def _elsewhere(one: view.Given) -> bool:
    # PVE looks at the first address only, and at its end ("02.0"); a missing function number is another rule's.
    first = one.value.addresses[0] if one.value.addresses else "02.0"
    return not first.endswith(("02.0", ":02"))
