"""``hostpciN``: a PCI device given to the VM. ``00:02.0`` is ``host=0000:00:02.0,rombar=1``.

Only root may set a raw address or a ROM file, a mapping does not help there (qemu-server 9.2.6, ``check_hostpci_perm``).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from transom.guest import field, props
from transom.guest.fields import making

_ADDRESS = re.compile(r"(?:([0-9a-f]{4,}):)?([0-9a-f]{2}:[0-9a-f]{2})(\.[0-9a-f])?")
_HEX_ID = re.compile(r"0x[0-9a-fA-F]{4}")


def _addresses(value: str) -> str:
    return ";".join(_address(part) for part in value.split(";"))


def _address(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a PCI address such as 0000:00:02.0")
    return f"{match[1] or '0000'}:{match[2]}{match[3] or ''}"


def _hex_id(value: str) -> str:
    if not _HEX_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not four hex digits such as 0x9bc8")
    return value.lower()


SCHEMA = props.Schema(
    props={
        "host": props.Prop(_addresses),
        "mapping": props.Prop(),
        "rombar": props.Prop(props.boolean, "1"),
        "romfile": props.Prop(),
        "pcie": props.Prop(props.boolean, "0"),
        "x-vga": props.Prop(props.boolean, "0"),
        "legacy-igd": props.Prop(props.boolean, "0"),
        "mdev": props.Prop(),
        "vendor-id": props.Prop(_hex_id),
        "device-id": props.Prop(_hex_id),
        "sub-vendor-id": props.Prop(_hex_id),
        "sub-device-id": props.Prop(_hex_id),
        "driver": props.Prop(props.one_of("vfio", "keep"), "vfio"),
    },
    default_key="host",
    needs=("host", "mapping"),
)


@dataclasses.dataclass(frozen=True)
class HostPci:
    """A parsed ``hostpciN``. ``addresses`` have the domain; one without a function number means all functions."""

    addresses: tuple[str, ...]
    mapping: str
    romfile: str
    rombar: bool
    pcie: bool
    x_vga: bool
    legacy_igd: bool
    mdev: str

    @property
    def multifunction(self) -> bool:
        """Whether PVE takes it as several functions, as far as the text tells."""
        return len(self.addresses) > 1 or any("." not in address for address in self.addresses)

    def covers(self, address: str) -> bool:
        """Whether the function at ``address`` (with domain) is among what is given away."""
        return any(address == one or ("." not in one and address.startswith(f"{one}.")) for one in self.addresses)


def read(value: str) -> HostPci:
    """The value as a ``HostPci``; ValueError names what is wrong."""
    found = props.parse(SCHEMA, value)
    return HostPci(
        addresses=tuple(found["host"].split(";")) if "host" in found else (),
        mapping=found.get("mapping", ""),
        romfile=found.get("romfile", ""),
        rombar=found["rombar"] == "1",
        pcie=found["pcie"] == "1",
        x_vga=found["x-vga"] == "1",
        legacy_igd=found["legacy-igd"] == "1",
        mdev=found.get("mdev", ""),
    )


def render(address: str, options: Mapping[str, str], romfile: str = "") -> str:
    """``0000:00:02.0,legacy-igd=1,romfile=igd-….rom``: the address first, options in their order, the ROM last when given."""
    parts = [
        _addresses(address),
        *(f"{key}={value}" for key, value in options.items() if key != "romfile" or not romfile),
    ]
    return ",".join([*parts, f"romfile={romfile}"] if romfile else parts)


def _route(value: str) -> field.Route:
    try:
        found = props.split(SCHEMA, value)
    except ValueError:
        return field.Route.ROOT
    return field.Route.ROOT if "host" in found or "romfile" in found else field.Route.API


FIELDS = (making.property_string("hostpci", r"hostpci\d+", SCHEMA, route=_route),)
