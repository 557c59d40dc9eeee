"""What the fields of one document mean together: mistakes that no single field shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from transom.spec import bundle, documents, problems

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


def _recipe(item: bundle.Loaded, recipe: documents.RecipeSpec) -> Iterator[problems.Problem]:
    seen: set[str] = set()
    for index, line in enumerate(recipe.guest.config):
        path = ("spec", "guest", "config", index, "key")
        if re.fullmatch("hostpci[0-9]+", line.key):
            yield item.problem(path, "is made from the VM's device; give its options in spec.guest.hostpci")
        if line.key in seen:
            yield item.problem(path, f"{problems.shown(line.key)} is given twice")
        seen.add(line.key)


def _devices(item: bundle.Loaded, node: documents.NodeSpec) -> Iterator[problems.Problem]:
    count = Counter(node.devices.values())
    for name, device in node.devices.items():
        if count[device] > 1:
            same = ", ".join(other for other, value in node.devices.items() if value == device and other != name)
            yield item.problem(("spec", "devices", name), f"is the same device as {same}; keep one, or give addresses")
