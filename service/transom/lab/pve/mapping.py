"""Mapped devices: what a mapping says for this node, and whether the hardware is still what it names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transom.lab.pve import files, formats, hardware, node, replies, sections
from transom.lab.pve.formats import Fields, Prop

PATH = r"[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?"
ID = Prop(optional=False, pattern=r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
NODE = Prop(optional=False, format="pve-node")
ENTRY: dict[str, Fields] = {
    "pci": {
        "node": NODE,
        "id": ID,
        "path": Prop(optional=False, pattern=rf"{PATH}(?:;{PATH})*"),
        "subsystem-id": Prop(pattern=r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}"),
        "iommugroup": Prop("integer"),
        "description": Prop(max_length=4096),
    },
    "usb": {"node": NODE, "id": ID, "path": Prop(pattern=r"\d+-\d+(?:\.\d+)*"), "description": Prop(max_length=4096)},
}


@dataclass(frozen=True)
class Mapping:
    id: str
    entries: tuple[str, ...]
    options: dict[str, str]

    def on(self, kind: str, name: str) -> list[dict[str, str]]:
        """The entries for a node, as properties."""
        parsed = [formats.parse_property_string(ENTRY[kind], entry) for entry in self.entries]
        return [one for one in parsed if one["node"] == name]


def load(here: node.Node, kind: str) -> dict[str, Mapping]:
    found = sections.parse(files.read_text(here.place.path(f"etc/pve/mapping/{kind}.cfg")))
    return {
        name: Mapping(name, tuple(values.get("map", ())), {key: one[0] for key, one in values.items() if key != "map"})
        for name, values in found.items()
    }


def save(here: node.Node, kind: str, mappings: dict[str, Mapping]) -> None:
    text = sections.render({
        name: {"map": list(one.entries), **{key: [value] for key, value in one.options.items()}}
        for name, one in mappings.items()
    })  # fmt: skip
    here.write_cluster_file(f"mapping/{kind}.cfg", text)


def check_pci(here: node.Node, one: Mapping, entry: dict[str, str]) -> str:
    """What is wrong with an entry, '' when the devices are as it says. Only the first device's group counts."""
    for number, path in enumerate(entry["path"].split(";")):
        address = path if re.search(r"\.[a-f0-9]$", path) else f"{path}.0"
        found = here.hardware.find(address)
        if not found:
            return f"pci device '{address}' not found"
        if complaint := differs(one, address, entry, found[0], number == 0):
            return complaint
    return ""


def differs(one: Mapping, address: str, entry: dict[str, str], device: hardware.Pci, first: bool) -> str:
    real = {"id": device.id, "iommugroup": str(device.group), "mdev": "0"}
    if device.subsystem != "0000:0000":
        real["subsystem-id"] = device.subsystem
    wanted = {**entry, "mdev": one.options.get("mdev", "0")}
    for key in ("id", "iommugroup", "mdev", "subsystem-id"):
        if key == "iommugroup" and not first:
            continue
        want, have = wanted.get(key), real.get(key)
        if want is None and have is not None:
            return f"missing expected property '{key}' for device '{address}'"
        if want is not None and have is None:
            return f"unexpected property '{key}' configured for device '{address}'"
        if want != have:
            return f"'{key}' does not match for '{one.id}' ({have} != {want})"
    return ""


def check_usb(here: node.Node, one: Mapping, entry: dict[str, str]) -> str:
    devices = here.hardware.usb()
    path, wanted = entry.get("path"), entry["id"]
    if path:
        at = [usb for usb in devices if usb.port == path]
        if not at:
            return f"usb device '{path}' not found"
        if (real := f"{at[0].vendor}:{at[0].product}") != wanted:
            return f"'id' does not match for '{one.id}' ({real} != {wanted})"
    elif not any(f"{usb.vendor}:{usb.product}" == wanted for usb in devices):
        return f"usb device '{wanted}' not found"
    return ""


def need(here: node.Node, kind: str, name: str) -> Mapping:
    found = load(here, kind).get(name)
    if found is None:
        replies.die(f"mapping '{name}' not found")
    return found


def usb_host(here: node.Node, name: str) -> str:
    """The port or id that a mapping names on this node; refuses when the device is not what it says."""
    known = load(here, "usb").get(name)
    entries = known.on("usb", here.name) if known else []
    if not known or not entries:
        replies.die(f"USB device mapping not found for '{name}'")
    if len(entries) > 1:
        replies.die("More than one USB mapping per host not supported")
    if complaint := check_usb(here, known, entries[0]):
        replies.die(f"USB Mapping invalid (hardware probably changed): {complaint}\n")
    return entries[0].get("path") or entries[0]["id"]
