"""Shared by the rules on what the host lives by: does a device, or one of its IOMMU group, carry it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, taken


def judge(device: taken.Taken, vital: tuple[model.Vital, ...] | model.Unknown, why: str) -> rule.Verdict:
    """Found with every use that hangs on the device or a mate. A device that vfio-pci has already is in nobody's use here."""
    there, mates = device.there, device.mates()
    for fact in (there, mates, vital):
        if isinstance(fact, model.Unknown):
            return rule.cannot_tell(fact.unknown)
    assert not isinstance(mates, model.Unknown)
    assert not isinstance(vital, model.Unknown)
    if not isinstance(there, model.PciDevice):
        return rule.clear()
    going = {
        there.address: device.why,
        **{mate.address: f"of its IOMMU group {mate.iommu_group}" for mate in mates},
    }
    hit = [(one, address) for one in vital for address in going if address in one.addresses]
    if not hit:
        return rule.clear()
    named = "; ".join(dict.fromkeys(f"{address} ({going[address]}) carries {one.what}" for one, address in hit))
    return rule.found(
        f"{why}: {named}",
        [model.Evidence(one.source, f"{one.says}, on {address}") for one, address in hit],
        holds=device.holds,
    )
