"""What a node is emptied of before its reboot, as far as it can be told when planning. Pure.

Affected are VMs that take a device which documents declare for the node: their start at boot could hang a host that comes up
with other drivers. Other VMs with devices passed through (a router with its network card) start as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transom import model
from transom.guest import conf
from transom.guest.fields import hostpci
from transom.host import devices
from transom.plan import emptying
from transom.spec import wish

_YES = frozenset({"1", "on", "yes", "true"})


def steps(node: wish.NodeWish, facts: model.Facts) -> tuple[emptying.Drain, emptying.Undrain] | None:
    """The step before the reboot and the one after it; None where a person reboots."""
    if facts.here is not False:
        return None
    configs, managed = _configs(facts), managed_by_ha(facts)
    running = tuple(vmid for vmid in _running(facts) if vmid not in managed)
    drain = emptying.Drain(
        how=node.policy.reboot.guests,
        timeout=node.policy.reboot.timeout,
        running=running,
        stay=tuple(vmid for vmid in running if has_devices(configs.get(vmid, {}))),
        onboot=tuple(vmid for vmid in _affected(node, facts, configs) if starts_at_boot(configs[vmid])),
        maintenance=bool(facts.standing.ha) and not isinstance(facts.standing.ha, model.Unknown),
        pinned=tuple(f"vm:{vmid}" for vmid in sorted(managed) if has_devices(configs.get(vmid, {}))),
    )
    return drain, emptying.Undrain(drain.running, drain.onboot, drain.maintenance, drain.pinned)


def has_devices(values: Mapping[str, str]) -> bool:
    """Whether a VM of this configuration has PCI devices passed through, and so cannot move."""
    return any(_is_pci(key) for key in values)


def starts_at_boot(values: Mapping[str, str]) -> bool:
    return values.get("onboot", "").lower() in _YES


def managed_by_ha(facts: model.Facts) -> frozenset[int]:
    """VMs that HA keeps on this node."""
    active = () if isinstance(facts.standing.ha, model.Unknown) else facts.standing.ha
    names = (one.partition(" ")[0] for one in active)
    return frozenset(int(name.removeprefix("vm:")) for name in names if name.startswith("vm:"))


def _is_pci(key: str) -> bool:
    return key.startswith("hostpci") and key.removeprefix("hostpci").isdigit()


def _configs(facts: model.Facts) -> dict[int, dict[str, str]]:
    files = {} if isinstance(facts.guests, model.Unknown) else facts.guests
    return {vmid: conf.parse(file.text).current() for vmid, file in files.items() if isinstance(file.text, str)}


def _running(facts: model.Facts) -> list[int]:
    states = {} if isinstance(facts.states, model.Unknown) else facts.states
    return sorted(vmid for vmid, state in states.items() if state.status == "running")


def _affected(node: wish.NodeWish, facts: model.Facts, configs: Mapping[int, Mapping[str, str]]) -> list[int]:
    """Of the VMs on the node, those that take a declared device, by an address or by its mapping."""
    wishes = [*node.devices.values(), *(guest.device for guest in node.guests if guest.device)]
    pci = () if isinstance(facts.pci, model.Unknown) else facts.pci
    addresses = {dev.address for wished in wishes for dev in devices.matching(wished, pci)}
    addresses |= {wished.address for wished in wishes if wished.address}
    mappings = {wished.mapping for wished in wishes if wished.mapping}
    return [
        vmid
        for vmid, values in sorted(configs.items())
        if any((one.mapping and one.mapping in mappings) or any(map(one.covers, addresses)) for one in _given(values))
    ]


def _given(values: Mapping[str, str]) -> Iterator[hostpci.HostPci]:
    for key, value in values.items():
        if _is_pci(key):
            try:
                yield hostpci.read(value)
            except ValueError:  # PVE does not start such a VM either
                continue
