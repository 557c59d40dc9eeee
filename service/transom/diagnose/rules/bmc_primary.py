"""The management controller's graphics are the primary display, as on server boards; the same effect as igpu-not-primary."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _primary

RULE = rule.Rule(
    id="bmc-primary",
    scope=rule.Scope.DEVICE,
    needs=("boot_vga of every display",),
    who=model.Who.BIOS,
    remedy="Set the primary display to the onboard graphics (IGD) in the firmware, or use a headless recipe.",
)


def judge(device: view.Device) -> rule.Verdict:
    seen = _primary.other(device)
    if isinstance(seen, model.Unknown):
        return rule.cannot_tell(seen.unknown)
    igpu, bmc = seen or (None, None)
    if igpu is None or bmc is None or bmc.vendor not in _primary.BMC_VENDORS:
        return rule.clear()
    return rule.found(
        f"the management controller {bmc.address} ({bmc.id}) is the primary display, not {igpu.address}",
        _primary.evidence(igpu, bmc),
    )
