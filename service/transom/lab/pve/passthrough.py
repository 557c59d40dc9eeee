"""PCI passthrough as PVE judges it when a VM starts: addresses, mappings, the rules of legacy IGD, the devices' use.

None of this is looked at when the configuration is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from transom.lab.pve import conf, devices, formats, hardware, mapping, node, replies, runstate

NOT_Q35 = "q35 machine model is not enabled at /usr/share/perl5/PVE/QemuServer/PCI.pm line 510."
ADDRESSES = {0: "0x10", 1: "0x11", 2: "0x1b", 3: "0x1c"}  # on bus pci.0; further ones sit behind bridge 2
PCIE = {0: ("ich9-pcie-port-1", "0x0"), 1: ("ich9-pcie-port-2", "0x0"), 2: ("ich9-pcie-port-3", "0x0"),
        3: ("ich9-pcie-port-4", "0x0")}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """One hostpciN: its options and the alternatives, each a list of functions."""

    index: int
    options: dict[str, str]
    alternatives: tuple[tuple[hardware.Pci, ...], ...]

    @property
    def multifunction(self) -> bool:
        return any(len(one) > 1 for one in self.alternatives)

    def flag(self, name: str) -> bool:
        return self.options.get(name) == "1"


def is_q35(current: conf.Conf) -> bool:
    parts = formats.parse_property_string(devices.MACHINE_FIELDS, current.text("machine"))
    return "q35" in parts.get("type", "")


def parse_one(here: node.Node, index: int, value: str) -> Given:
    """500 in PVE's words when the address or mapping leads nowhere."""
    options = formats.parse_property_string(devices.HOSTPCI, value)
    host, mapped = options.get("host"), options.get("mapping")
    if host and mapped:
        replies.die("Cannot set both 'host' and 'mapping'.")
    if mapped:
        groups = mapped_paths(here, mapped)
    elif host:
        groups = [host.split(";")]
    else:
        replies.die("Either 'host' or 'mapping' must be set.")
    alternatives = []
    for group in groups:
        found: list[hardware.Pci] = []
        for address in group:
            functions = here.hardware.find(address)
            if not functions:
                replies.die(f"no PCI device found for '{address}'")
            found += functions
        if len(found) > 1 and options.get("mdev"):
            replies.die("cannot use mediated device with multifunction device")
        alternatives.append(tuple(found))
    return Given(index, options, tuple(alternatives))


def mapped_paths(here: node.Node, name: str) -> list[list[str]]:
    known = mapping.load(here, "pci").get(name)
    entries = known.on("pci", here.name) if known else []
    if not known or not entries:
        replies.die(f"PCI device mapping not found for '{name}'")
    for entry in entries:
        if complaint := mapping.check_pci(here, known, entry):
            replies.die(f"PCI device mapping invalid (hardware probably changed): {complaint}\n")
    return [entry["path"].split(";") for entry in entries]


def values(current: conf.Conf) -> Iterator[tuple[int, str]]:
    for index in range(16):
        if value := current.text(f"hostpci{index}"):
            yield index, value


def judge(here: node.Node, current: conf.Conf) -> list[Given]:
    """All devices of a VM, after every rule that PVE has about them."""
    found, legacy = [], False
    for index, value in values(current):
        given = parse_one(here, index, value)
        if given.flag("pcie") and not is_q35(current):
            replies.die(NOT_Q35)
        if given.flag("legacy-igd"):
            if legacy:
                replies.die("only one device can be assigned in legacy-igd mode")
            legacy = True
            judge_legacy(current, given)
        found.append(given)
    return found


def judge_legacy(current: conf.Conf, given: Given) -> None:
    rules = (
        (current.text("vga") != "none", "requires VGA mode to be 'none'"),
        (given.options.get("rombar") == "0", "requires rombar to be enabled"),
        (given.flag("x-vga"), "is not compatible with x-vga"),
        ("mdev" in given.options, "is not compatible with mdev"),
        (is_q35(current), "is not compatible with q35"),
        (given.multifunction, "is not compatible with multifunction devices"),
        (len(given.alternatives) > 1, "is not compatible with alternate devices"),
        (not given.alternatives[0][0].address.endswith("02.0"), "only works for devices on host bus 00:02.0"),
    )
    for broken, text in rules:
        if broken:
            replies.die(f"legacy IGD assignment {text}")


def choose(here: node.Node, vmid: int, found: list[Given]) -> list[tuple[Given, tuple[hardware.Pci, ...]]]:
    """One alternative a device: the only one, or the first that nobody uses."""
    used: set[str] = set()
    busy = in_use(here, vmid)
    chosen = []
    for given in found:
        free = given.alternatives
        if len(free) > 1:
            free = tuple(one for one in free if not any(pci.address in used or pci.address in busy for pci in one))
            if not free:
                replies.die(f"could not find a free device for 'hostpci{given.index}'")
        for pci in free[0]:
            if pci.address in used:
                replies.die(f"device '{pci.address}' assigned more than once")
            used.add(pci.address)
        chosen.append((given, free[0]))
    return chosen


def in_use(here: node.Node, vmid: int) -> dict[str, int]:
    """{address: VM} of the devices that other running VMs hold."""
    held: dict[str, int] = {}
    for other in here.place.vmids():
        running = runstate.read(here.place, other) if other != vmid else None
        for word in running.argv if running else ():
            if found := re.search(r"^vfio-pci,host=([^,]+)", word):
                held[found[1]] = other
    return held


def reserve(here: node.Node, vmid: int, chosen: list[tuple[Given, tuple[hardware.Pci, ...]]]) -> None:
    """The checks right before QEMU is started: nobody else has the device, and there is an IOMMU."""
    busy = in_use(here, vmid)
    functions = [pci for _, group in chosen for pci in group]
    for pci in functions:
        if pci.address in busy:
            replies.die(f"PCI device '{pci.address}' already in use by VMID '{busy[pci.address]}'")
    if any("mdev" in given.options for given, _ in chosen):
        replies.die("could not create mediated device")
    if functions and not here.hardware.iommu:
        replies.die("cannot prepare PCI pass-through, IOMMU not present")


def device_words(current: conf.Conf, given: Given, group: tuple[hardware.Pci, ...]) -> list[str]:
    """The `-device` options of one hostpciN."""
    words: list[str] = []
    many = len(group) > 1
    for number, pci in enumerate(group):
        suffix = f".{number}" if many else ""
        text = f"vfio-pci,host={pci.address},id=hostpci{given.index}{suffix}{place(given)}{suffix}"
        if number == 0:
            text += first_options(current, given, many)
        words += ["-device", text]
    return words


def place(given: Given) -> str:
    if given.flag("pcie"):
        port, address = PCIE.get(given.index, (f"ich9-pcie-port-{given.index + 1}", "0x0"))
        return f",bus={port},addr={address}"
    if given.flag("legacy-igd"):
        return ",bus=pci.0,addr=0x2"
    if given.index in ADDRESSES:
        return f",bus=pci.0,addr={ADDRESSES[given.index]}"
    return f",bus=pci.2,addr={given.index + 9:#x}"


def first_options(current: conf.Conf, given: Given, many: bool) -> str:
    options = given.options
    text = ",rombar=0" if options.get("rombar") == "0" else ""
    if given.flag("x-vga") and current.text("bios") != "ovmf":
        text += ",x-vga=on"
    if many:
        text += ",multifunction=on"
    if "romfile" in options:
        text += f",romfile=/usr/share/kvm/{options['romfile']}"
    for name in ("vendor-id", "device-id", "sub-vendor-id", "sub-device-id"):
        if name in options:
            text += f",x-pci-{name}={options[name]}"
    return text


def cleanup(here: node.Node, current: conf.Conf) -> str:
    """What the clean-up after a failed start warns about: a device that cannot be read then either."""
    for index, value in values(current):
        try:
            parse_one(here, index, value)
        except replies.Refused as error:
            return error.text
    return ""
