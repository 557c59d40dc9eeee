"""The worker's answers as text for a terminal, from the plain data of ``view``. Imports nothing: the command line starts fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def of_contents(answer: Json) -> str:
    """``rom inspect``: what is in the file, drivers first."""
    return "\n".join(_contents(answer))


def of_built(answer: Json) -> str:
    """``rom build``: what was written."""
    return "\n".join(_built(answer))


def of_report(answer: Json, firmware: str | None) -> str:
    """``rom verify``: the facts of each image, then the judgement."""
    return "\n".join(_report(answer, firmware))


def _contents(answer: Json) -> Iterator[str]:
    yield f"{answer['kind']}, {answer['size']} bytes, sha256 {answer['sha256']}"
    if answer["fsp"]:
        yield "an Intel FSP: it holds no DXE GOP"
    for one in answer["gop"]:
        where = one["file"] or one["guid"]
        yield f"GOP: {one['name']} {one['version']}, {one['machine']} {one['form']}, {one['size']} bytes" + (
            f", in {where}" if where else ""
        )
        yield f"  sha256 {one['sha256']}"
        yield f"  serves {_ids(one['device_ids']) or 'unknown: no table of device ids can be read'}"
        yield from (f"  warning: {text}" for text in one["warnings"])
        if one["damaged"]:
            yield f"  damaged: {one['damaged']}"
        if one["unloadable"]:
            yield f"  not loadable: {one['unloadable']}"
    if not answer["gop"]:
        yield "no Intel GOP driver here"
    for one in answer["vbt"]:
        yield f"VBT: {one['platform']}, version {one['version']}, {one['size']} bytes at 0x{one['offset']:X}"
    for one in answer["images"]:
        yield f"option ROM at 0x{one['offset']:X}: {one['code_type']}, {_ids(one['device_ids'])}, {one['size']} bytes"
    yield f"{answer['volumes']} volumes, {len(answer['drivers'])} programs"
    yield from (f"{one['level']}: {one['text']} ({one['where']} at 0x{one['offset']:X})" for one in answer["problems"])
    for node in answer.get("tree", []):
        yield from _tree(node, 0)


def _tree(node: Json, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{node['kind']} {node['name']}".rstrip() + f"  0x{node['offset']:X} +0x{node['size']:X}"
    for child in node.get("children", []):
        yield from _tree(child, depth + 1)


def _built(answer: Json) -> Iterator[str]:
    yield f"{answer['file']}: {answer['size']} bytes (0x{answer['size']:X}), sha256 {answer['sha256']}"
    for part, image in zip(answer["parts"], answer["images"], strict=False):
        driver = part["driver"]
        version = f"GOP {driver['gop_version']} " if driver and driver["gop_version"] else ""
        yield f"  0x{image['offset']:X}: {image['code_type']}, {version}from {part['source']}"
    yield from (f"warning: {text}" for text in answer["warnings"])


def _report(answer: Json, firmware: str | None) -> Iterator[str]:
    for image in answer["images"]:
        yield from _image(image)
    yield from (f"wrong at 0x{one['offset']:X}: {one['text']}" for one in answer["problems"])
    yield from (f"warning at 0x{one['offset']:X}: {one['text']}" for one in answer["warnings"])
    for name, one in answer["firmware"].items():
        if firmware in (None, name):
            missing = f"; missing: {', '.join(one['missing'])}" if one["missing"] else ""
            yield f"{name}: {one['verdict']}: {one['reason']}{missing}"
    if answer["good"] and firmware and answer["firmware"][firmware]["verdict"] == "cannot work":
        yield f"good as a ROM, but not for {firmware}"
    else:
        yield "good" if answer["good"] else "not good"


def _image(image: Json) -> Iterator[str]:
    number = {"legacy": 0, "EFI": 3}.get(image["code_type"])
    yield f"image at {image['offset']:X}h, {image['size']} bytes, PCIR offset {image['pcir_offset']:X}h"
    yield (
        f"  PCIR: type {image['code_type'] if number is None else number} ({image['code_type']}), "
        f"vendor: {image['vendor']}, device: {_devices(image['device_ids'])}, class: {image['class_code']}"
    )
    yield f"  PCIR: revision {image['pcir_revision']}, vendor revision: {image['revision']:x}"
    if "machine" in image:
        signature = "valid" if image["signature_ok"] else "wrong"
        packed = ", compressed" if image["compressed"] else ""
        yield f"  EFI: signature {signature}, subsystem: {image['subsystem']}, machine: {image['machine']}{packed}"
    else:
        yield f"  checksum {'right' if image['checksum_ok'] else 'wrong'}"
    driver = image["driver"]
    if driver and driver["gop_version"]:
        yield f"  Intel GOP driver {driver['gop_version']}, {driver['size']} bytes"
    if image["roles"]:
        yield f"  does the work of: {', '.join(image['roles'])}"
    if image["last"]:
        yield "  last image"


def _ids(ids: list[str]) -> str:
    shown = ", ".join(ids[:12])
    return f"{shown} and {len(ids) - 12} more" if len(ids) > 12 else shown


def _devices(ids: list[str]) -> str:
    return ", ".join(one.split(":")[1] for one in ids)
