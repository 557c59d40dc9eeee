"""The virtual machine's own shape: ``machine``, ``cpu``, ``vga``, ``memory``, ``smbios1``, ``bios``, ``scsihw``, ``ostype``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from transom.guest import field, props
from transom.guest.fields import making


def _type(value: str) -> str:
    # qemu-server 9.2.6, extract_version_parts: the old ".pxe" and the revision "+pve0" say nothing.
    return value.removesuffix(".pxe").removesuffix("+pve0")


MACHINE = props.Schema(
    props={
        "type": props.Prop(_type, "pc"),
        "viommu": props.Prop(props.one_of("intel", "virtio")),
        "aw-bits": props.Prop(props.number),
        "enable-s3": props.Prop(props.boolean),
        "enable-s4": props.Prop(props.boolean),
    },
    default_key="type",
)


_UNPINNED = {"pc": "pc-i440fx-", "q35": "pc-q35-"}


def _pinned(wanted: str, observed: str) -> str:
    """``wanted`` with the version that ``observed`` has, when it names none: PVE pins one for Windows when the VM is made."""
    try:
        want, got = props.split(MACHINE, wanted), props.split(MACHINE, observed)
    except ValueError:
        return wanted
    kind, there = want.get("type", "pc"), got.get("type", "")
    if kind not in _UNPINNED or not there.startswith(_UNPINNED[kind]):
        return wanted
    rest = (f"{key}={value}" for key, value in want.items() if key != "type")
    return ",".join([there, *rest])


def _same_machine(wanted: str, observed: str) -> bool:
    return props.same(MACHINE, _pinned(wanted, observed), observed)


def _merge_machine(wanted: str, observed: str) -> str:
    return props.merge(MACHINE, _pinned(wanted, observed), observed)


def _flags(value: str) -> str:
    return ";".join(sorted({part for part in value.split(";") if part}))


CPU = props.Schema(
    props={
        "cputype": props.Prop(default="kvm64"),
        "reported-model": props.Prop(default="kvm64"),
        "hidden": props.Prop(props.boolean, "0"),
        "hv-vendor-id": props.Prop(),
        "flags": props.Prop(_flags),
        "guest-phys-bits": props.Prop(props.integer),
        "phys-bits": props.Prop(),
        "level": props.Prop(props.integer),
    },
    default_key="cputype",
)
VGA = props.Schema(
    props={"type": props.Prop(default="std"), "memory": props.Prop(props.integer), "clipboard": props.Prop()},
    default_key="type",
)
MEMORY = props.Schema(props={"current": props.Prop(props.integer, "512")}, default_key="current")
SMBIOS = props.Schema(
    props={
        "uuid": props.Prop(props.lower, made=True),
        **dict.fromkeys(("version", "serial", "manufacturer", "product", "sku", "family"), props.Prop()),
        "base64": props.Prop(props.boolean, "0"),
    },
)


def _same_vga(wanted: str, observed: str) -> bool:
    # Legacy IGD mode wants the literal "none": "type=none" parses alike and still fails at start.
    if (wanted == "none") != (observed == "none"):
        return False
    return props.same(VGA, wanted, observed)


def _plain_text(values: dict[str, str]) -> dict[str, str]:
    """The SMBIOS texts without their Base64 clothes. ValueError when they are not Base64."""
    if values.get("base64") != "1":
        return values
    coded = values.keys() & SMBIOS.props.keys() - {"uuid", "base64"}
    try:
        plain = {key: base64.b64decode(values[key], validate=True).decode() for key in coded}
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"base64=1, but a value is not Base64: {error}") from error
    return {**values, **plain, "base64": "0"}


def _parse_smbios(value: str) -> dict[str, str]:
    return _plain_text(props.parse(SMBIOS, value))


def _comparable(values: dict[str, str]) -> dict[str, str]:
    found = props.complete(SMBIOS, values)
    try:
        return _plain_text(found)
    except ValueError:
        return found


def _same_smbios(wanted: str, observed: str) -> bool:
    try:
        want, got = props.split(SMBIOS, wanted), props.split(SMBIOS, observed)
        return _comparable(want) == _comparable(props.counted(SMBIOS, want, got))
    except ValueError:
        return wanted == observed


def _field(name: str, schema: props.Schema, same: Callable[[str, str], bool] | None = None) -> field.VmField:
    made = making.property_string(name, name, schema)
    return field.VmField(name, re.compile(name), made.parse, same or made.same, made.merge, making.api)


FIELDS = (
    field.VmField(
        "machine",
        re.compile("machine"),
        lambda value: props.parse(MACHINE, value),
        _same_machine,
        _merge_machine,
        making.api,
    ),
    _field("cpu", CPU),
    _field("vga", VGA, _same_vga),
    _field("memory", MEMORY),
    field.VmField(
        "smbios1",
        re.compile("smbios1"),
        _parse_smbios,
        _same_smbios,
        lambda w, o: props.merge(SMBIOS, w, o),
        making.api,
    ),
    making.plain("bios", "bios", props.one_of("seabios", "ovmf")),
    making.plain("scsihw", "scsihw", props.text),
    making.plain("ostype", "ostype", props.text),
)
DEFAULTS = {"bios": "seabios", "scsihw": "lsi", "ostype": "other", "memory": "512"}
