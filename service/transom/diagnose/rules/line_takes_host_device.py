"""A line that no document asks for, and that the next boot reads, takes from the host what its storage or network hangs on.

Such a line can lie there for long: it is not in the initramfs yet, or vfio-pci was loaded too late for its ids. A new initramfs, or
a softdep of ours that loads vfio-pci early, brings it into effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transom import model
from transom.diagnose import blacklists, rule, taken, view
from transom.host import grub, initramfs_modules, kernel_args, module_names
from transom.host import registry as settings

RULE = rule.Rule(
    id="line-takes-host-device",
    scope=rule.Scope.NODE,
    needs=("/etc/modprobe.d", "/etc/default/grub", "/etc/initramfs-tools/modules", "lsblk", "ip route get"),
    who=model.Who.REFUSE,
    remedy="Take {lines} out, then plan again.",
    holds=True,
    safety=True,
    when=rule.When.BOOT,
)

Places = Mapping[str, str]
"""Id or driver → where it stands."""


def judge(host: view.Host) -> rule.Verdict:
    ids, drivers, pci = _ids(host), _drivers(host), host.facts.pci
    for fact in (ids, drivers):
        if isinstance(fact, model.Unknown):
            return rule.cannot_tell(fact.unknown)
    assert not isinstance(ids, model.Unknown)
    assert not isinstance(drivers, model.Unknown)
    if not ids and not drivers:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    going = dict(_going(pci, ids, drivers))
    standing = host.facts.standing
    uses = [one for kind in (standing.disks, standing.links) if not isinstance(kind, model.Unknown) for one in kind]
    hit = [(one, address) for one in uses for address in going if address in one.addresses]
    if hit:
        lines = dict.fromkeys(going[address] for _, address in hit)
        carried = "; ".join(dict.fromkeys(f"{address} ({going[address]}) carries {one.what}" for one, address in hit))
        return rule.found(
            f"the next boot would take from the host what it lives by: {carried}",
            [model.Evidence(one.source, f"{one.says}, on {address}") for one, address in hit],
            lines=", ".join(lines),
        )
    blind = next((kind for kind in (standing.disks, standing.links) if isinstance(kind, model.Unknown)), None)
    return rule.cannot_tell(blind.unknown) if going and blind else rule.clear()


def _going(pci: tuple[model.PciDevice, ...], ids: Places, drivers: Places) -> Iterator[tuple[str, str]]:
    """(address, why) of the devices that a host driver has now, as far as is known, and will have no more."""
    for dev in pci:
        if not isinstance(dev.driver, model.Unknown) and dev.driver in view.HOST_DRIVERS_NONE:
            continue
        found = [f"{id} in {place}" for id, place in ids.items() if taken.matches(id, dev)]
        name = module_names.normal(dev.driver_name)
        found += [f"{name} in {drivers[name]}"] if name in drivers else []
        if found:
            yield dev.address, found[0]


def _ids(host: view.Host) -> dict[str, str] | model.Unknown:
    """Of the ``ids=`` that counts, the last one, of that with which the initramfs may load vfio-pci, and of pci-stub's: what
    documents do not want themselves."""
    items, options = (settings.by_key(key).read(host.next_boot) for key in ("vfio_ids", "module_options"))
    if isinstance(items, model.Unknown):
        return items
    if isinstance(options, model.Unknown):
        return options
    late = {item.value: item.place for item in items if item.path == initramfs_modules.PATH and item.value}
    sure = [item for item in items if item.path != initramfs_modules.PATH]
    found = late | {item.value: item.place for item in sure if item.place == sure[-1].place and not item.hides}
    stubs = {
        part.lower(): one.place
        for one in options
        if kernel_args.key(one.value) == "pci_stub.ids"
        for part in (kernel_args.value(one.value) or "").split(",")
        if part
    }
    wanted = taken.ids(host)
    return {id: place for id, place in (found | stubs).items() if id not in wanted}


def _drivers(host: view.Host) -> dict[str, str] | model.Unknown:
    """By the names that PCI drivers go by."""
    items, tokens = settings.by_key("blacklist").read(host.next_boot), grub.tokens(host.next_boot)
    if isinstance(items, model.Unknown):
        return items
    if isinstance(tokens, model.Unknown):
        return tokens
    places = {token: f"{path}:{line}" for token, path, line in tokens}
    named = {item.value: item.place for item in items} | blacklists.of_tokens(places)
    wanted = blacklists.wanted(host)
    failing = blacklists.drivers(named, host.facts)
    return {name: places.get(why, why) for name, why in failing.items() if name not in wanted}
