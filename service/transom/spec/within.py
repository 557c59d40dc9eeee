"""What the fields of one document mean together: mistakes that no single field shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from transom.spec import bundle, documents, problems, recipe_fields

_DISKS = ("spec", "hardware", "disks")
_NETWORK = ("spec", "hardware", "network")
_USB = ("spec", "hardware", "usb")
_MEDIA = ("spec", "media")
_RAW = ("spec", "raw")


def check(item: bundle.Loaded) -> list[problems.Problem]:
    """Every mistake in ``item`` alone; in what is left of it, when it has gaps."""
    match item.document:
        case documents.VirtualMachine(spec=vm):
            return [*_vm(item, vm), *_boot(item, vm)]
        case documents.Recipe(spec=recipe):
            return list(_recipe(item, recipe))
        case documents.Node(spec=node):
            return list(_devices(item, node))
        case documents.Rom(spec=rom):
            return list(_finished(item, rom) if rom.file else _built(item, rom))
        case _:
            return []


def _vm(item: bundle.Loaded, vm: documents.VmSpec) -> Iterator[problems.Problem]:
    if (vm.device or item.stands("spec", "device")) and "hostpci0" in _names(item, vm.raw, "spec", "raw"):
        reason = "is made from spec.device, spec.rom and the recipe; take the line out, or spec.device"
        yield item.problem(("spec", "raw", "hostpci0"), reason)
    for name in ("rom", "hostpci"):
        given = getattr(vm, name) or item.stands("spec", name)
        if given and not vm.device and not item.hides("spec", "device"):
            yield item.problem(("spec", name), "is given to no device; name one of the node's in spec.device")
    for part, values in (("raw", vm.raw), ("unlisted", vm.unlisted)):
        for key in (key for key, value in values.items() if "\n" in value and key != "description"):
            yield item.problem(("spec", part, key), "has several lines; only a description may")
    if vm.identity and vm.vmid is None and not item.hides("spec", "vmid"):
        yield item.problem(("spec", "identity"), "belongs to a VM that is there; give its spec.vmid too")
    disks = _names(item, vm.hardware.disks, *_DISKS)
    for key in _names(item, vm.media, *_MEDIA):
        if key in disks:
            yield item.problem(("spec", "media", key), "is a disk too (spec.hardware.disks); choose another drive")
    for index, device in enumerate(vm.hardware.usb):
        if device in vm.hardware.usb[:index]:
            yield item.problem(("spec", "hardware", "usb", index), f"{problems.shown(device)} is given twice")


def _names(item: bundle.Loaded, entries: Iterable[str], *path: str) -> list[str]:
    """The names in a mapping, those of wrong entries too: what else is said of them may still be judged."""
    return [*entries, *item.gaps.left_out(path)]


def _boot(item: bundle.Loaded, vm: documents.VmSpec) -> Iterator[problems.Problem]:
    """PVE refuses a boot order with drives that the VM does not have: ``invalid bootorder: device 'ide0' does not exist'``."""
    known = _bootable(item, vm)
    for index, key in enumerate(vm.hardware.boot):
        path = ("spec", "hardware", "boot", index)
        if key in vm.hardware.boot[:index]:
            yield item.problem(path, f"{problems.shown(key)} is given twice")
        elif key not in known and not any(
            item.hides(*holder, key) for holder in (_DISKS, _NETWORK, _MEDIA, _RAW, _USB)
        ):
            hint = problems.did_you_mean(key, known) or "; give it in hardware or media, or take it out"
            yield item.problem(path, f"{problems.shown(key)} is no drive or network device of this VM{hint}")


def _bootable(item: bundle.Loaded, vm: documents.VmSpec) -> list[str]:
    usb = len(vm.hardware.usb) + len(item.gaps.left_out(_USB))
    return [
        *_names(item, vm.hardware.disks, *_DISKS),
        *_names(item, vm.hardware.network, *_NETWORK),
        *_names(item, vm.media, *_MEDIA),
        *_names(item, vm.raw, *_RAW),
        *(f"usb{index}" for index in range(usb)),
        *(["hostpci0"] if vm.device or item.hides("spec", "device") else []),
    ]


def _recipe(item: bundle.Loaded, recipe: recipe_fields.RecipeSpec) -> Iterator[problems.Problem]:
    seen: set[str] = set()
    for part, lines in (("config", recipe.guest.config), ("unlisted", recipe.guest.unlisted)):
        for index, line in enumerate(lines):
            path = ("spec", "guest", part, index, "key")
            if re.fullmatch("hostpci[0-9]+", line.key):
                yield item.problem(path, "is made from the VM's device; give its options in spec.guest.hostpci")
            if line.key in seen:
                yield item.problem(path, f"{problems.shown(line.key)} is given twice")
            if "\n" in line.value and line.key != "description":
                yield item.problem((*path[:-1], "value"), "has several lines; only a description may")
            seen.add(line.key)


def _devices(item: bundle.Loaded, node: documents.NodeSpec) -> Iterator[problems.Problem]:
    count = Counter(node.devices.values())
    for name, device in node.devices.items():
        if count[device] > 1:
            same = ", ".join(other for other, value in node.devices.items() if value == device and other != name)
            yield item.problem(("spec", "devices", name), f"is the same device as {same}; keep one, or give addresses")


# --- ROMs ------------------------------------------------------------------------------------------------------------

_OF_A_BUILD = ("helpers", "legacy", "devices", "driver", "compress", "pci23", "class_code", "revision")


def _finished(item: bundle.Loaded, rom: documents.RomSpec) -> Iterator[problems.Problem]:
    if rom.sha256 is None and not item.hides("spec", "sha256"):
        yield item.problem(("spec", "sha256"), "is missing")
    for name in _OF_A_BUILD:
        if name in rom.model_fields_set and getattr(rom, name):
            reason = "says how a ROM is built, and this one is finished (file); take one of the two out"
            yield item.problem(("spec", name), reason)


def _built(item: bundle.Loaded, rom: documents.RomSpec) -> Iterator[problems.Problem]:
    if rom.sha256 is not None:
        reason = "is that of a finished ROM (file); a built one gets its own. That of an input stands beside it"
        yield item.problem(("spec", "sha256"), reason)
    if rom.filename is not None:
        reason = "is for a finished ROM that lies on nodes already; the name of a built one carries its hash"
        yield item.problem(("spec", "filename"), reason)
    yield from _for_which(item, rom)
    for path, one in rom_inputs(rom):
        if one.url and one.sha256 is None and not item.hides(*path, "sha256"):
            yield item.problem((*path, "sha256"), "is missing: what comes from a URL is taken only with its hash")
        if one.upload and one.sha256 is not None:
            yield item.problem((*path, "sha256"), "is said by upload already; take it out")


def _for_which(item: bundle.Loaded, rom: documents.RomSpec) -> Iterator[problems.Problem]:
    if not rom.devices:
        if rom.firmware and not item.touched("spec", "devices"):
            yield item.problem(("spec", "devices"), "is missing")
        return
    if len({device[:4] for device in rom.devices}) > 1:
        yield item.problem(("spec", "devices"), "are of several vendors; one ROM is for one vendor's devices")
    for index, device in enumerate(rom.devices):
        if device in rom.devices[:index]:
            yield item.problem(("spec", "devices", index), f"{problems.shown(device)} is given twice")
    if rom.pci23 and len(rom.devices) > 1:
        yield item.problem(("spec", "pci23"), "the PCI 2.3 form has no list of device ids; give one device")


def rom_inputs(rom: documents.RomSpec) -> Iterator[tuple[tuple[problems.Part, ...], documents.RomInput]]:
    """What the ROM is built of, each with its path in the document."""
    for name, several in (("firmware", rom.firmware), ("helpers", rom.helpers)):
        for index, one in enumerate(several):
            yield ("spec", name, index), one
    if rom.legacy:
        yield ("spec", "legacy"), rom.legacy
