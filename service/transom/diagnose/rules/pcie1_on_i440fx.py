"""``pcie=1`` needs the PCI Express root of a q35 machine."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="pcie1-on-i440fx",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Drop pcie=1, or use a q35 machine.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config, given = guest.config, guest.hostpci
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    assert not isinstance(given, model.Unknown)
    bad = [one for one in given if one.value.pcie and not view.is_q35(config.get("machine", ""))]
    if not bad:
        return rule.clear()
    return _legacy.refused(guest, "q35 machine model is not enabled", bad, "hostpci", "machine", also=("machine",))
