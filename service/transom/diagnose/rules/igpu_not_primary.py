"""Another display is the primary one: QEMU then skips legacy mode, and the VM runs without a boot picture."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _primary

RULE = rule.Rule(
    id="igpu-not-primary",
    scope=rule.Scope.DEVICE,
    needs=("boot_vga of every display",),
    who=model.Who.BIOS,
    remedy="Set the primary display to the onboard graphics (IGD) in the firmware.",
)


def judge(device: view.Device) -> rule.Verdict:
    seen = _primary.other(device)
    if isinstance(seen, model.Unknown):
        return rule.cannot_tell(seen.unknown)
    if seen is None or (seen[1] and seen[1].vendor in _primary.BMC_VENDORS):
        return rule.clear()
    igpu, primary = seen
    instead = f"{primary.address} ({primary.id}) is" if primary else "no display is"
    return rule.found(f"{igpu.address} is not the primary display; {instead}", _primary.evidence(igpu, primary))
