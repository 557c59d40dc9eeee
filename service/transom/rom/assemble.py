"""From the files that a user gives to a verified ROM: read, choose, build, verify."""

from __future__ import annotations

import dataclasses
import hashlib

from transom import errors
from transom.rom import build, choose, contents, graphics, layout, rominfo, span, tree, verify
from transom.rom import roles as role


@dataclasses.dataclass(frozen=True)
class Source:
    """A file's name, for messages, and its bytes."""

    name: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class Request:
    """What to build: images stand in the order legacy, sources, helpers."""

    sources: tuple[Source, ...]
    options: build.Options
    helpers: tuple[Source, ...] = ()
    legacy: Source | None = None
    driver: str = ""


@dataclasses.dataclass(frozen=True)
class Part:
    """One image's origin: the file that it came from and the driver in it (None for a legacy image)."""

    source: str
    source_sha256: str
    kind: str
    driver: tree.Driver | None


@dataclasses.dataclass(frozen=True)
class Built:
    """The ROM's bytes, where each image came from, what its user should know, and the verifier's word."""

    rom: bytes
    parts: tuple[Part, ...]
    warnings: tuple[str, ...]
    report: verify.Report


def assemble(request: Request) -> Built:
    """Build what is asked for; the same request gives the same bytes. ``errors.RomError`` names the file at fault."""
    if not request.sources and not request.helpers and request.legacy is None:
        raise errors.RomError("nothing to build a ROM from", hint="give a BIOS file or a driver")
    parts: list[Part] = []
    warnings: list[str] = []
    legacy = None
    if request.legacy is not None:
        legacy = _legacy(request.legacy, warnings)
        parts.append(Part(request.legacy.name, _digest(request.legacy), "legacy", None))
    drivers = []
    for source in (*request.sources, *request.helpers):
        drivers.append(_driver(source, request, parts, warnings))
    whole = build.rom(tuple(drivers), request.options, legacy=legacy)
    wanted = tuple((request.options.vendor, device) for device in request.options.devices)
    report = verify.verify(whole, () if legacy is not None else wanted)
    warnings += [f"at 0x{found.offset:X}: {found.text}" for found in (*report.problems, *report.warnings)]
    return Built(whole, tuple(parts), tuple(dict.fromkeys(warnings)), report)


def _driver(source: Source, request: Request, parts: list[Part], warnings: list[str]) -> bytes:
    helper = source in request.helpers
    wanted = "" if helper else request.driver
    try:
        found = contents.read(source.data, wanted=wanted)
        choice = _choice(found, request, helper=helper)
    except errors.RomError as wrong:
        raise errors.RomError(f"{source.name}: {span.reason(wrong)}", offset=wrong.offset, hint=wrong.hint) from wrong
    # a file that is a driver is wrapped whole, as EfiRom does, padding behind it included
    data = source.data if found.kind == "efi" else choice.driver.data
    if helper and (doubt := role.doubt(span.Span.of(data))):
        warnings.append(f"{source.name}: {doubt}")
    warnings += [f"{source.name}: {text}" for text in choice.warnings]
    parts.append(Part(source.name, found.sha256, found.kind, choice.driver))
    return data


def _choice(found: contents.Contents, request: Request, *, helper: bool) -> choose.Choice:
    intel = request.options.devices if request.options.vendor == graphics.INTEL else ()
    if found.kind == "efi":
        return choose.from_file(found, () if helper else intel)
    if helper:
        raise errors.RomError("a file given to go with the driver must be an .efi driver", hint=f"this is {found.kind}")
    if request.driver:
        return choose.named(found, request.driver)
    if not intel:
        raise errors.RomError(
            "only Intel's GOP driver is looked for in firmware", hint="name the driver: --driver NAME|GUID|SHA256"
        )
    return choose.gop_for(found, intel)


def _legacy(source: Source, warnings: list[str]) -> bytes:
    """The legacy image of a file; out of a ROM with more images only that one, for EfiRom would cover all with one header."""
    rom = span.Span.of(source.data)
    try:
        first = rominfo.image_at(rom, 0)
    except errors.RomError:
        return source.data  # ImageLength may be unset before it is placed; the builder checks the rest
    if first.code_type == layout.TYPE_LEGACY and first.size < len(rom) and not first.last:
        warnings.append(f"{source.name}: only its first image, the legacy one, is taken")
        return rom.cut(0, first.size)
    return source.data


def _digest(source: Source) -> str:
    return hashlib.sha256(source.data).hexdigest()
