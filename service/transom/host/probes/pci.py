"""PCI functions with what is bound to them, from sysfs: one grep, one find."""

from __future__ import annotations

import posixpath

from transom import model
from transom.host import attributes, probe

_SPLIT = "-- links --"
_NAMES = ("vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision", "boot_vga")
COMMAND = f"""
cd /sys/bus/pci/devices || exit 3
set -- */
[ -d "$1" ] || {{ printf '%s\\n' '{_SPLIT}'; exit 0; }}
grep -sHZ . {" ".join(f"*/{name}" for name in _NAMES)}
printf '%s\\n' '{_SPLIT}'
set -- */driver/
[ -d "$1" ] || set --
find */ "$@" -maxdepth 1 '(' -name driver -o -name iommu_group -o -name module ')' -printf '%p %l\\n'
"""


def parse(body: bytes) -> tuple[model.PciDevice, ...]:
    """The functions by address. ValueError when one lacks its ids."""
    shown, mark, linked = body.decode("utf-8", "replace").partition(f"{_SPLIT}\n")
    if not mark:
        raise ValueError("the list was cut short")
    links: dict[str, dict[str, str]] = {}
    for line in linked.splitlines():
        path, _, target = line.partition(" ")
        address, name = posixpath.split(path)
        links.setdefault(address.rstrip("/"), {})[name] = posixpath.basename(target)
    devices = attributes.folders(attributes.parse(shown.encode()))
    return tuple(
        _device(address, devices[address], links.get(address, {}) | links.get(f"{address}/driver", {}))
        for address in sorted(devices)
    )


def _device(address: str, given: dict[str, str], links: dict[str, str]) -> model.PciDevice:
    try:
        vendor, device, class_code = (_hex(given[name]) for name in ("vendor", "device", "class"))
    except KeyError as missing:
        raise ValueError(f"{address} has no {missing.args[0]}") from missing
    group = links.get("iommu_group", "")
    boot_vga = given.get("boot_vga")
    return model.PciDevice(
        address=address,
        vendor=vendor,
        device=device,
        class_code=class_code,
        subsystem=_subsystem(given),
        revision=_hex(given.get("revision", "")),
        driver=links.get("driver", ""),
        iommu_group=int(group) if group else None,
        boot_vga=None if boot_vga is None else boot_vga == "1",
        module=links.get("module", ""),
    )


def _subsystem(given: dict[str, str]) -> str:
    ids = f"{_hex(given.get('subsystem_vendor', ''))}:{_hex(given.get('subsystem_device', ''))}"
    return "" if ids in {":", "0000:0000"} else ids


def _hex(value: str) -> str:
    digits = value.removeprefix("0x").lower()
    if digits.strip("0123456789abcdef"):
        raise ValueError(f"{value[:20]!r} is not hex")
    return digits


PROBE = probe.Probe("pci", COMMAND, parse)
