"""A VM's keys in the words of a document: ``hardware`` and ``media`` where they say exactly the same, ``raw`` for the rest."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from transom.guest import props, registry
from transom.guest.fields import boot, disks, net
from transom.spec import documents, pvekeys, render
from transom.spec import hardware as parts

_GIB = 1 << 30
_WHOLE = frozenset({"cores", "sockets", "memory", "balloon"})
_DROP = re.compile(r"(?:scsi|virtio|sata|ide)\d+")
_USB = re.compile(r"usb\d+")


@dataclasses.dataclass(frozen=True)
class Said:
    """``parts``: a VirtualMachine's ``hardware``, ``media``, ``unlisted``, ``raw`` in JSON types.

    ``left``: key → why no document can say it.
    """

    parts: Mapping[str, dict[str, Any]]
    left: Mapping[str, str]


def express(values: Mapping[str, str]) -> Said:
    """Every key of ``values`` (PVE's text) once: nothing that is said means anything else than what is there."""
    hardware: dict[str, Any] = {}
    media: dict[str, Any] = {}
    said: set[str] = set()
    for key, value in sorted(values.items()):
        for field, wish in _wishes(key, value):
            if _holds({"hardware": _merged({}, field, wish)}, {key: value}):
                hardware = _merged(hardware, field, wish)
                said.add(key)
                break
        else:
            if volume := _medium(key, value):
                media[key] = volume
                said.add(key)
    usb = _usb(values)
    if usb:
        hardware["usb"] = list(usb.values())
        said |= usb.keys()
    rest, left = _raw({key: value for key, value in values.items() if key not in said})
    return Said({"hardware": hardware, "media": media, **rest}, left)


Step = tuple[str, ...]


def _wishes(key: str, value: str) -> Iterator[tuple[Step, Any]]:
    """Where in ``hardware`` the key may stand, and as what."""
    if key in parts.Hardware.model_fields and key not in {"tags", "disks", "network", "usb", "boot"}:
        yield (key,), int(value) if key in _WHOLE and re.fullmatch(r"\d{1,9}", value, re.ASCII) else value
        if value in {"0", "1"}:
            yield (key,), value == "1"
    elif key == "tags":
        yield (key,), [tag for tag in re.split(r"[;,\s]+", value) if tag]
    elif key == "boot":
        order = _split(boot.SCHEMA, value).get("order", "")
        yield (key,), [part for part in order.split(";") if part]
    elif _DROP.fullmatch(key):
        yield ("disks", key), _disk(value)
    elif re.fullmatch(r"net\d+", key):
        yield ("network", key), _nic(value)


def _merged(hardware: dict[str, Any], step: Step, wish: Any) -> dict[str, Any]:
    if len(step) == 1:
        return {**hardware, step[0]: wish}
    return {**hardware, step[0]: {**hardware.get(step[0], {}), step[1]: wish}}


def _holds(spec: dict[str, Any], values: Mapping[str, str]) -> bool:
    """Whether documents take ``spec``, and it means just ``values``."""
    try:
        vm = documents.VmSpec.model_validate({"node": "x", **spec})
    except pydantic.ValidationError:
        return False
    rendered = {**render.hardware(vm.hardware), **render.media(vm), **vm.raw}
    return rendered.keys() == values.keys() and all(
        registry.field_for(key).same(rendered[key], value) for key, value in values.items()
    )


def _split(schema: props.Schema, value: str) -> dict[str, str]:
    try:
        return props.split(schema, value)
    except ValueError:
        return {}


def _switch(value: str) -> bool | str:
    try:
        return props.boolean(value) == "1"
    except ValueError:
        return value


def _disk(value: str) -> dict[str, Any]:
    found = _split(disks.DRIVE, value)
    storage, colon, _ = found.get("file", "").partition(":")
    try:
        size = int(props.size(found.get("size", "0")))
    except ValueError:
        return {}
    if not colon or not size or size % _GIB:
        return {}
    wish: dict[str, Any] = {"storage": storage, "size": f"{size // _GIB}G"}
    wish |= {key: _switch(found[key]) for key in ("backup", "iothread", "ssd") if key in found}
    if "discard" in found:
        wish["discard"] = found["discard"] == "on"
    return wish | {key: found[key] for key in ("aio", "cache") if key in found}


def _nic(value: str) -> dict[str, Any]:
    found = _split(net.SCHEMA, net.long(value))
    wish: dict[str, Any] = {"model": found.get("model", "")}
    wish |= {
        name: found[key] for key, name in (("macaddr", "mac"), ("bridge", "bridge"), ("rate", "rate")) if key in found
    }
    wish |= {"firewall": _switch(found["firewall"])} if "firewall" in found else {}
    return wish | ({"tag": int(found["tag"])} if found.get("tag", "").isdecimal() else {})


def _medium(key: str, value: str) -> str:
    """The ISO image of a CD-ROM drive; empty for anything else."""
    volume = _split(disks.DRIVE, value).get("file", "")
    return volume if _holds({"media": {key: volume}}, {key: value}) else ""


def _usb(values: Mapping[str, str]) -> dict[str, str]:
    """``usb0``, ``usb1`` … as a list, when all of them can be said so."""
    keys = sorted((key for key in values if _USB.fullmatch(key)), key=lambda key: int(key[3:]))
    hosts = {key: values[key].removeprefix("host=").lower() for key in keys}
    whole = {"hardware": {"usb": list(hosts.values())}}
    return hosts if len(set(hosts.values())) == len(hosts) and _holds(whole, {key: values[key] for key in keys}) else {}


def _raw(values: Mapping[str, str]) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """``unlisted`` and ``raw``, and what can stand in neither."""
    said: dict[str, dict[str, str]] = {"unlisted": {}, "raw": {}}
    left = {}
    for key, value in sorted(values.items()):
        where = "raw" if key in pvekeys.KEYS else "unlisted"
        try:
            documents.VmSpec.model_validate({"node": "x", where: {key: value}})
        except pydantic.ValidationError as error:
            left[key] = _reason(error)
        else:
            said[where][key] = value
    return said, left


def _reason(error: pydantic.ValidationError) -> str:
    """Without the value, which may be long, or a secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] == "refused":
        return str(first["msg"]).partition('" ')[2] or "is none of the document's business"
    return "its value cannot stand in a document: several lines, or control characters"
