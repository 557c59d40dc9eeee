"""What there is on a node that documents could say: host settings as merged, devices given away, VMs, ROMs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from transom import errors, model
from transom.diagnose import view
from transom.guest import conf, identity, words
from transom.guest import hostpci as render
from transom.guest import props as properties
from transom.guest.fields import hostpci
from transom.host import registry
from transom.plan import mapping
from transom.plan.adopt import sheet as sheets
from transom.spec import bundle, documents, fields, layers, wish

_NOT_ASKED = re.compile(r"unused\d+|digest|lock|meta|vmgenid|parent|vmstate|snap\w+|running\w+")
"""PVE's own keys: what a document must not name, and nobody would miss there."""
_SECRET = re.compile(r"(?:^|,)(?:data|password|passwd|secret)=", re.IGNORECASE)
_PACKAGED = frozenset({"/etc/modprobe.d/pve-blacklist.conf"})
_NAME = 63


def find(
    node: bundle.Loaded,
    docs: bundle.Bundle,
    facts: model.Facts,
    wanted: wish.NodeWish,
    *,
    vmids: Collection[int] | None,
    host: bool,
) -> sheets.Sheet:
    """Everything on the node, or (``vmids``) only these VMs with what they take. VMs that documents declare are not found again.

    Rejected when the VMs or the PCI devices could not be read: what is not known cannot be written down.
    """
    if isinstance(facts.guests, model.Unknown):
        raise errors.Rejected(f"{node.name}: the VMs could not be read: {facts.guests.unknown}")
    if isinstance(facts.pci, model.Unknown):
        raise errors.Rejected(f"{node.name}: the PCI devices could not be read: {facts.pci.unknown}")
    declared = {guest.vmid for guest in wanted.guests} | {_marked(guest.name, facts.guests) for guest in wanted.guests}
    chosen = {vmid for vmid in facts.guests if (vmids is None or vmid in vmids) and vmid not in declared}
    files = {vmid: file for vmid, file in sorted(facts.guests.items()) if vmid in chosen}
    unread = {f"qemu/{vmid}": file.text.unknown for vmid, file in files.items() if isinstance(file.text, model.Unknown)}
    parsed = {vmid: conf.parse(file.text) for vmid, file in files.items() if isinstance(file.text, str)}
    items = _items(facts) if host else ()
    devices = _devices(wanted, facts, facts.pci, parsed.values(), items)
    roms = _roms(docs, facts, parsed.values())
    taken = set(docs.of(documents.VirtualMachine))
    found, left = [], dict(unread)
    used = {guest.device.name for guest in wanted.guests if guest.device}
    for vmid, one in parsed.items():
        vm, gone = _vm(vmid, one, taken, facts)
        vm = _passed(vm, devices, roms, used)
        taken.add(vm.name)
        used |= {vm.device} - {""}
        found.append(vm)
        left |= {vm.key(key): reason for key, reason in gone.items()}
    return sheets.Sheet(node, items, devices, tuple(found), roms, left)


def declared(wanted: wish.NodeWish, files: Mapping[int, model.GuestFile]) -> dict[int, str]:
    """VM id → the document that has it already."""
    found = {guest.vmid if guest.vmid is not None else _marked(guest.name, files): guest for guest in wanted.guests}
    return {vmid: guest.document for vmid, guest in found.items() if vmid is not None}


def _marked(name: str, files: Mapping[int, model.GuestFile]) -> int | None:
    texts = ((vmid, file.text) for vmid, file in sorted(files.items()) if isinstance(file.text, str))
    return next((vmid for vmid, text in texts if identity.marked(conf.parse(text)) == name), None)


# --- host ------------------------------------------------------------------------------------------------------------


def _items(facts: model.Facts) -> tuple[sheets.Item, ...]:
    """The settings' items as merged, but for what packages bring."""
    found: dict[str, sheets.Item] = {}
    for key in layers.SETTINGS:
        read = registry.by_key(key).read(facts)
        if isinstance(read, model.Unknown):
            continue
        for one in read:
            if one.hides or one.path in _PACKAGED or not one.path.startswith("/etc/") or not _fits(key, one.value):
                continue
            item = sheets.Item(key, one.value, one.place)
            found.setdefault(item.path, item)
    return tuple(found.values())


def _fits(key: str, value: str) -> bool:
    try:
        documents.Host.model_validate({key: [value]})
    except ValueError:
        return False
    return True


# --- devices and ROMs ------------------------------------------------------------------------------------------------


def _devices(
    wanted: wish.NodeWish,
    facts: model.Facts,
    pci: tuple[model.PciDevice, ...],
    guests: Iterable[conf.GuestConf],
    items: Iterable[sheets.Item],
) -> tuple[sheets.Device, ...]:
    """Display controllers, what VMs are given, and what vfio-pci takes by its id."""
    host = view.Host(facts, wanted)
    known = {}
    for name, device in wanted.devices.items():
        present = view.Device(host, device).present()
        if isinstance(present, model.PciDevice):
            known[present.address] = name
    given = {address for one in guests for value in view.given(one.persisted()) for address in value.functions(pci)}
    ids = {item.value for item in items if item.setting == "vfio_ids"}
    names = set(wanted.devices)
    named = {value.value.mapping for one in guests for value in view.given(one.persisted()) if value.key == "hostpci0"}
    found = []
    for one in pci:
        name = known.get(one.address, "")
        maps = (
            [wanted.devices[name].mapping]
            if name
            else [other for other in mapping.exact(wanted, one, facts) if other in named]
        )
        if not (
            maps or one.address in given or one.id in ids or one.class_code.startswith("03") or one.address in known
        ):
            continue
        name = name or _unique(_device_name(one), names, one.address)
        names.add(name)
        twins = [dev for dev in pci if (dev.id, dev.subsystem) == (one.id, one.subsystem)]
        full = f"{one.id}:{one.subsystem}" if one.subsystem else one.id
        group = f"IOMMU group {one.iommu_group}" if one.iommu_group is not None else "no IOMMU group"
        says = f"{one.address}, class {one.class_code}, driver {_driver(one)}, {group}"
        by = maps[0] if maps else ""
        found.append(sheets.Device(name, full, one.address, len(twins) > 1, says, one.address in known, by))
    return tuple(found)


def _driver(device: model.PciDevice) -> str:
    return "not known" if isinstance(device.driver, model.Unknown) else device.driver or "none"


def _device_name(device: model.PciDevice) -> str:
    if device.class_code.startswith("03"):
        return "igpu" if device.address == "0000:00:02.0" and device.vendor == "8086" else "gpu"
    return {"0403": "audio", "02": "nic", "0c03": "usb", "0108": "nvme"}.get(
        next((code for code in ("0403", "0c03", "0108", "02") if device.class_code.startswith(code)), ""), "pci"
    )


def _roms(docs: bundle.Bundle, facts: model.Facts, guests: Iterable[conf.GuestConf]) -> tuple[sheets.Rom, ...]:
    """The files that VMs name as option ROMs, where their bytes are known."""
    hashes = {} if isinstance(facts.roms, model.Unknown) else facts.roms
    named = {value.value.romfile for one in guests for value in view.given(one.persisted())}
    there = {
        rom.spec.filename or f"{name}-{rom.spec.sha256[:12]}.rom": (name, rom.spec.sha256)
        for name, (_, rom) in docs.of(documents.Rom).items()
        if rom.spec.sha256
    }
    taken = set(docs.of(documents.Rom))
    found = []
    for filename in sorted(named & hashes.keys()):
        sha256 = hashes[filename]
        name, known_sha = there.get(filename, ("", ""))
        if known_sha == sha256:
            found.append(sheets.Rom(name, filename, sha256, known=True))
            continue
        ours = re.fullmatch(rf"([a-z0-9-]+)-{sha256[:12]}\.rom", filename)
        name = _unique(ours[1] if ours else _slug(filename.rpartition(".")[0] or filename, "rom"), taken, sha256[:8])
        taken.add(name)
        found.append(sheets.Rom(name, filename, sha256))
    return tuple(found)


# --- VMs -------------------------------------------------------------------------------------------------------------


def _vm(vmid: int, one: conf.GuestConf, taken: set[str], facts: model.Facts) -> tuple[sheets.Vm, dict[str, str]]:
    """The VM, and which of its keys are left out, with the reason."""
    persisted, current = one.persisted(), one.current()
    state = facts.states.get(vmid) if not isinstance(facts.states, model.Unknown) else None
    left: dict[str, str] = {}
    values: dict[str, str] = {}
    for key, value in sorted(_unmarked(persisted).items()):
        if _NOT_ASKED.fullmatch(key):
            continue
        if key == "cipassword":
            left[key] = "is a secret, and documents hold none"
        elif key == "args" and _secretive(value):
            left[key] = "seems to hold a secret, and documents hold none"
        elif persisted.get(key) != current.get(key) and (state is None or state.status != "stopped"):
            left[key] = "a change of it is pending until the VM restarts: adopt it then"
        else:
            values[key] = value
    for key in sorted(current.keys() - persisted.keys()):
        left[key] = "its removal is pending until the VM restarts"
    name = identity.marked(one) or _slug(persisted.get("name", ""), f"vm-{vmid}")
    name = _unique(name if re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name) else f"vm-{vmid}", taken, vmid)
    return sheets.Vm(vmid, name, identity.of(one), values, _notes(one, state)), left


def _unmarked(values: Mapping[str, str]) -> dict[str, str]:
    """Without our own mark: it comes and goes by itself."""
    found = dict(values)
    if "description" in found and identity.TAG in identity.tags(found.get("tags", "")):
        found["description"] = identity.unmark(found["description"])
    if "tags" in found:
        found["tags"] = identity.unmark_tags(found["tags"])
    return {key: value for key, value in found.items() if value or key not in ("description", "tags")}


def _secretive(args: str) -> bool:
    try:
        return any(_SECRET.search(word) for word in words.split(args))
    except ValueError:
        return bool(re.search("data=|password=|secret", args, re.IGNORECASE))


def _notes(one: conf.GuestConf, state: model.GuestState | None) -> tuple[str, ...]:
    said = [f"found {state.status}" if state else "found; the API does not show its state"]
    if one.snapshots:
        said.append(f"snapshots, left alone: {', '.join(one.snapshots)}")
    if one.unparsed:
        lines = ", ".join(str(line.number) for line in one.unparsed[:20])
        said.append(f"lines that PVE cannot read and drops at its next write: {lines}")
    return tuple(said)


def _passed(
    vm: sheets.Vm, devices: Iterable[sheets.Device], roms: Iterable[sheets.Rom], used: Collection[str]
) -> sheets.Vm:
    """``hostpci0`` said by a device of the node, where that says the same; one VM a device."""
    text = vm.values.get("hostpci0", "")
    try:
        value, given = hostpci.read(text), properties.split(hostpci.SCHEMA, text)
    except ValueError:
        return vm
    options = {key: part for key, part in given.items() if key not in ("host", "mapping", "romfile")}
    device = next((one for one in devices if _is_given(one, value)), None)
    rom = next((one for one in roms if one.filename == value.romfile), None)
    if device is None or device.name in used or (value.romfile and rom is None) or not _takes(options):
        return vm
    rendered = (
        render.render_mapped(device.mapping, options, value.romfile)
        if device.mapping
        else hostpci.render(device.address, options, value.romfile)
    )
    if not hostpci.FIELDS[0].same(rendered, text) or (rom and not _may_be_called(rom.filename)):
        return vm
    rest = {key: part for key, part in vm.values.items() if key != "hostpci0"}
    return sheets.Vm(
        vm.vmid, vm.name, vm.identity, rest, vm.notes, device.name, options, rom.name if rom else "", vm.recipe
    )


def _is_given(device: sheets.Device, value: hostpci.HostPci) -> bool:
    """Whether the value is how VMs get the device: by its mapping when it has one, else by its address."""
    if device.mapping or value.mapping:
        return device.mapping == value.mapping and not value.addresses
    return value.addresses == (device.address,)


def _takes(options: Mapping[str, str]) -> bool:
    try:
        documents.VmSpec.model_validate({"node": "x", "device": "x", "hostpci": dict(options)})
    except ValueError:
        return False
    return True


def _may_be_called(filename: str) -> bool:
    return bool(re.fullmatch(fields.ROM_FILENAME, filename))


# --- names -----------------------------------------------------------------------------------------------------------


def _slug(text: str, otherwise: str) -> str:
    """A document's name from any text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_NAME].strip("-") or otherwise


def _unique(name: str, taken: Collection[str], tail: object) -> str:
    """``name``, or with ``tail`` (and a number) when something is called so already."""
    if name not in taken:
        return name
    suffix = "-" + re.sub(r"[^a-z0-9]+", "-", str(tail).lower())
    first = f"{name[: _NAME - len(suffix)]}{suffix}"
    number = 2
    found = first
    while found in taken:
        found, number = f"{first[: _NAME - 4]}-{number}", number + 1
    return found
