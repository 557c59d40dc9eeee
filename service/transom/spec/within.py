"""What the fields of one document mean together: mistakes that no single field shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from transom.spec import bundle, documents, problems


def check(item: bundle.Loaded) -> list[problems.Problem]:
    """Every mistake in ``item`` alone."""
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
    if vm.device and "hostpci0" in vm.raw:
        reason = "is made from spec.device, spec.rom and the recipe; take the line out, or spec.device"
        yield item.problem(("spec", "raw", "hostpci0"), reason)
    if vm.rom and not vm.device:
        yield item.problem(("spec", "rom"), "is given to no device; name one of the node's in spec.device")
    for key in vm.media.keys() & vm.hardware.disks.keys():
        yield item.problem(("spec", "media", key), "is a disk too (spec.hardware.disks); choose another drive")
    for index, device in enumerate(vm.hardware.usb):
        if device in vm.hardware.usb[:index]:
            yield item.problem(("spec", "hardware", "usb", index), f"{problems.shown(device)} is given twice")


def _boot(item: bundle.Loaded, vm: documents.VmSpec) -> Iterator[problems.Problem]:
    """PVE refuses a boot order with drives that the VM does not have: ``invalid bootorder: device 'ide0' does not exist'``."""
    made = [f"usb{index}" for index in range(len(vm.hardware.usb))] + (["hostpci0"] if vm.device else [])
    known = [*vm.hardware.disks, *vm.hardware.network, *vm.media, *vm.raw, *made]
    for index, key in enumerate(vm.hardware.boot):
        path = ("spec", "hardware", "boot", index)
        if key not in known:
            hint = problems.did_you_mean(key, known) or "; give it in hardware or media, or take it out"
            yield item.problem(path, f"{problems.shown(key)} is no drive or network device of this VM{hint}")
        elif key in vm.hardware.boot[:index]:
            yield item.problem(path, f"{problems.shown(key)} is given twice")


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
