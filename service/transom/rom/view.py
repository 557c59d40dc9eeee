"""Results as plain data for JSON (documented in docs/rom.md). Text out of firmware is made harmless for a terminal here."""

from __future__ import annotations

from typing import Any

from transom.rom import assemble, contents, gop, graphics, layout, pe, rominfo, tree, verify

Json = dict[str, Any]


def of_contents(found: contents.Contents, *, with_tree: bool = False) -> Json:
    """The answer of ``rom inspect``."""
    answer: Json = {
        "kind": found.kind,
        "size": found.size,
        "sha256": found.sha256,
        "whole": found.whole,
        "fsp": found.fsp,
        "gop": [_gop(driver) for driver in found.gops],
        "vbt": [
            {
                "platform": _clean(t.platform),
                "version": t.version,
                "size": t.size,
                "offset": t.offset,
                "sha256": t.sha256,
            }
            for t in found.vbts
        ],
        "images": [_image(image) for image in found.images],
        "drivers": [_driver(driver) for driver in found.drivers],
        "volumes": sum(_count(node, "volume") for node in found.nodes),
        "problems": [
            {"level": p.level.value, "text": _clean(p.text), "where": _clean(p.where), "offset": p.offset}
            for p in found.problems
        ],
    }
    if with_tree:
        answer["tree"] = [_node(node) for node in found.nodes]
    return answer


def of_built(built: assemble.Built) -> Json:
    """The answer of ``rom build``, without the file's name."""
    return {
        "kind": "rom",
        "size": len(built.rom),
        "sha256": built.report.sha256,
        "good": built.report.good,
        "parts": [
            {
                "source": part.source,
                "source_sha256": part.source_sha256,
                "kind": part.kind,
                "driver": _driver(part.driver) if part.driver else None,
            }
            for part in built.parts
        ],
        "images": [_checked(one) for one in built.report.images],
        "firmware": _fits(built.report),
        "warnings": [_clean(text) for text in built.warnings],
    }


def of_report(report: verify.Report) -> Json:
    """The answer of ``rom verify``."""
    return {
        "kind": "rom",
        "size": report.size,
        "sha256": report.sha256,
        "good": report.good,
        "images": [_checked(one) for one in report.images],
        "problems": [{"offset": one.offset, "text": _clean(one.text)} for one in report.problems],
        "warnings": [{"offset": one.offset, "text": _clean(one.text)} for one in report.warnings],
        "firmware": _fits(report),
    }


def _gop(driver: tree.Driver) -> Json:
    facts = driver.gop or gop.Gop(gop.UNKNOWN, ())
    own = {
        "name": gop.NAME,
        "version": facts.version,
        "machine": driver.machine,
        "size": driver.size,
        "sha256": driver.sha256,
        "device_ids": [_id(graphics.INTEL, device) for device in facts.devices],
    }
    return (
        own
        | {"file": _clean(driver.name), "guid": driver.guid, "form": driver.form, "where": _clean(driver.where)}
        | {
            "damaged": _clean(driver.damaged),
            "unloadable": _clean(driver.unloadable),
            "warnings": [_clean(text) for text in driver.warnings],
        }
    )


def _driver(driver: tree.Driver) -> Json:
    return {
        "name": _clean(driver.name),
        "guid": driver.guid,
        "form": driver.form,
        "machine": driver.machine,
        "subsystem": driver.subsystem,
        "size": driver.size,
        "sha256": driver.sha256,
        "gop_version": driver.gop.version if driver.gop else None,
        "damaged": _clean(driver.damaged),
        "unloadable": _clean(driver.unloadable),
    }


def _image(image: rominfo.Image) -> Json:
    plain: Json = {
        "offset": image.offset,
        "size": image.size,
        "code_type": layout.CODE_TYPES.get(image.code_type, str(image.code_type)),
        "vendor": f"{image.vendor:04x}",
        "device_ids": [_id(image.vendor, device) for device in image.devices],
        "class_code": f"{image.class_code:06x}",
        "pcir_offset": image.pcir_offset,
        "pcir_revision": image.pcir_revision,
        "revision": image.revision,
        "last": image.last,
        "sha256": image.sha256,
    }
    if not image.is_efi:
        return plain | {"checksum_ok": image.checksum_ok}
    return plain | {
        "signature_ok": image.efi_signature_ok,
        "machine": pe.machine_name(image.machine),
        "subsystem": pe.subsystem_name(image.subsystem),
        "compressed": bool(image.compression),
        "body_offset": image.body_offset,
    }


def _checked(one: verify.Checked) -> Json:
    return _image(one.image) | {
        "good": not one.problems,
        "driver": _driver(one.driver) if one.driver else None,
        "roles": sorted(role.value for role in one.roles),
    }


def _fits(report: verify.Report) -> Json:
    return {
        one.firmware: {"verdict": one.verdict.value, "missing": list(one.missing), "reason": one.reason}
        for one in report.fits
    }


def _node(node: tree.Node) -> Json:
    plain: Json = {"kind": node.kind, "name": _clean(node.name), "offset": node.offset, "size": node.size}
    return plain | ({"children": [_node(child) for child in node.children]} if node.children else {})


def _count(node: tree.Node, kind: str) -> int:
    return (node.kind == kind) + sum(_count(child, kind) for child in node.children)


def _id(vendor: int, device: int) -> str:
    return f"{vendor:04x}:{device:04x}"


def _clean(text: str) -> str:
    """Without control characters: a name in firmware may carry terminal escapes."""
    return "".join(char if char.isprintable() else "?" for char in text)
