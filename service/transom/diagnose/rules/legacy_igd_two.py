"""Only one device of a VM can be in legacy IGD mode."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-two",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Leave legacy-igd=1 on the iGPU at 00:02.0 and drop it from the other.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given = guest.hostpci
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    legacy = [one for one in given if one.value.legacy_igd]
    if len(legacy) < 2:
        return rule.clear()
    return _legacy.refused(guest, "only one device can be assigned in legacy-igd mode", legacy, "hostpci")
