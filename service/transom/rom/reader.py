"""One reading of one input: what is known so far, what it may still cost, and the ways down into nested parts."""

from __future__ import annotations

import dataclasses
import hashlib

from transom import errors
from transom.rom import budget as budgets
from transom.rom import codec, gop, oprom, parts, pe, raw, rominfo, section, span, tree, vbt

STRAY = "PE in raw data"  # the form of a program that no structure announces
STRAY_ROM = "ROM in raw data"
LOOSE = frozenset({STRAY, STRAY_ROM})  # no checksum covers these
SHORTEST_DIGEST = 8  # hex digits that name a driver by its SHA-256

_FARTHEST_BACK = 4 * budgets.MIB  # no driver is larger
_CANDIDATES = 64


class Reader:
    """Collects drivers, tables, legacy images and problems. ``wanted`` names (or gives the GUID of, or the beginning of the
    SHA-256 of) a driver whose bytes are kept too; those of GOP drivers always are."""

    def __init__(self, budget: budgets.Budget, wanted: str = "") -> None:
        self.budget = budget
        self.wanted = wanted.lower()
        self.drivers: list[tree.Driver] = []
        self.vbts: list[vbt.Vbt] = []
        self.images: list[rominfo.Image] = []
        self.problems: list[tree.Problem] = []
        self.fsp = False
        self.dxe = False  # whether a file of DXE's kinds is there: an FSP on its own has none

    def problem(self, level: tree.Level, text: str, area: parts.Area, offset: int) -> None:
        self.problems.append(tree.Problem(level, text, area.where, offset))

    def expanded(self, data: bytes | bytearray, area: parts.Area, name: str, unit: parts.Unit) -> tuple[tree.Node, ...]:
        """Sections out of a part that was just expanded."""
        inner = self.enter(data, area, name)
        nodes = section.read(self, inner, unit, inner.whole, inner.depth)
        self.sweep(inner)
        return nodes

    def buffer(self, data: bytes | bytearray, area: parts.Area | None, name: str) -> tuple[tree.Node, ...]:
        """Whatever a new buffer without announced structure holds."""
        inner = self.enter(data, area, name)
        nodes = raw.blob(self, inner, inner.whole, inner.depth)
        self.sweep(inner)
        return nodes

    def enter(self, data: bytes | bytearray, area: parts.Area | None, name: str) -> parts.Area:
        depth = area.depth + 1 if area else 0
        self.budget.structure(depth, 0)
        return parts.Area(span.Span.of(data), f"{area.where} > {name}" if area else name, depth)

    def finish(self, unit: parts.Unit, area: parts.Area) -> None:
        """Turn a unit's programs into drivers, now that its name is known."""
        for part, form in unit.programs:
            self._add(part, form, unit, area)
        unit.programs.clear()

    def program(self, part: span.Span, form: str, unit: parts.Unit, area: parts.Area) -> None:
        area.programs.append((part.start, part.end))
        unit.programs.append((part, form))

    def sweep(self, area: parts.Area) -> None:
        """What lies anywhere in a buffer: tables, legacy images, and GOP drivers that no structure led to."""
        if area.hidden:
            return
        self.vbts.extend(vbt.find(area.whole))
        for image in oprom.find(area.whole):
            self.images.append(image)
            if image.is_efi and image.efi_signature_ok and not _announced(area, image.offset):
                self._stray_rom(area, image)
        at = area.whole.find(gop.NAME_BYTES)
        while at >= 0:
            self.budget.structure(area.depth, at)
            place = area.whole.start + at
            if not _announced(area, place):
                self._stray(area, at)
            at = area.whole.find(gop.NAME_BYTES, at + len(gop.NAME_BYTES))

    def rom_image(self, area: parts.Area, image: rominfo.Image, form: str) -> None:
        """The driver in an EFI image of an option ROM; ``image.offset`` counts from the area's start."""
        unit, body = parts.Unit(), rominfo.body(area.whole, image)
        if image.compression:
            plain = codec.efi_or_tiano(body, self.budget, lambda data: int(data.startswith(b"MZ")))
            body, area = span.Span.of(plain), self.enter(plain, area, f"image at 0x{image.offset:X}")
        self.program(body, form, unit, area)
        self.finish(unit, area)

    def _stray_rom(self, area: parts.Area, image: rominfo.Image) -> None:
        try:
            self.rom_image(area, image, STRAY_ROM)
        except budgets.LimitError:
            raise
        except errors.RomError as wrong:
            text = f"an option ROM's EFI image cannot be read: {span.reason(wrong)}"
            self.problem(tree.Level.DAMAGE, text, area, image.offset)

    def _stray(self, area: parts.Area, at: int) -> None:
        part = _program_around(area.whole, at)
        if part is None:
            self.problem(tree.Level.NOTE, "the GOP driver's name stands outside any program", area, at)
            return
        unit = parts.Unit(name="", guid="")
        self.program(part, STRAY, unit, area)
        self.finish(unit, area)

    def _add(self, part: span.Span, form: str, unit: parts.Unit, area: parts.Area) -> None:
        facts = tree.Driver(
            name=unit.name,
            guid=unit.guid,
            form=form,
            machine="",
            subsystem="",
            size=len(part),
            sha256="",
            where=area.where,
            damaged=unit.damaged,
            warnings=tuple(unit.warnings),
        )
        driver = te_driver(part, facts) if form == "TE" else pe_driver(part, facts)
        if driver.damaged and not unit.damaged:
            self.problem(tree.Level.DAMAGE, f"program {unit.name or unit.guid}: {driver.damaged}", area, part.start)
        if driver.gop or (self.wanted and bears(driver, self.wanted)):
            driver = dataclasses.replace(driver, data=part.cut(0, driver.size))
        self.drivers.append(driver)


def bears(driver: tree.Driver, wanted: str) -> bool:
    """Whether ``wanted`` (lower case) is the driver's name, its file's GUID, or the beginning of its SHA-256."""
    if wanted in (driver.name.lower(), driver.guid):
        return True
    return len(wanted) >= SHORTEST_DIGEST and driver.sha256.startswith(wanted)


def pe_driver(part: span.Span, facts: tree.Driver) -> tree.Driver:
    """``facts`` completed from the PE headers; what stands wrong in them makes it damaged."""
    try:
        header = pe.parse(part)
    except errors.RomError as wrong:
        return dataclasses.replace(facts, damaged=span.reason(wrong), sha256=_digest(part))
    behind = part.sub(header.size)
    # a ROM image is padded to its block, and in raw data nothing says where the driver ends; the body of a section or file
    # is the driver to its last byte, for that is what firmware and other tools load
    padded = facts.form in LOOSE or facts.form == "ROM image"
    part = part.sub(0, header.size) if padded and len(behind) and behind.blank() else part
    extra = 0 if behind.blank() else len(behind)
    return dataclasses.replace(
        facts,
        machine=header.machine_name,
        subsystem=header.subsystem_name,
        size=len(part),
        sha256=_digest(part),
        gop=gop.read(part, header),
        unloadable=pe.loadable(header),
        warnings=(*facts.warnings, *((f"{extra} bytes follow the PE image",) if extra else ())),
    )


def te_driver(part: span.Span, facts: tree.Driver) -> tree.Driver:
    """``facts`` completed from a TE header: machine and subsystem."""
    if not pe.is_te(part):
        return dataclasses.replace(facts, damaged="a TE section without a TE header", sha256=_digest(part))
    found = gop.Gop(gop.UNKNOWN, ()) if part.find(gop.NAME_BYTES) >= 0 else None
    return dataclasses.replace(
        facts,
        machine=pe.machine_name(part.u16(2)),
        subsystem=pe.subsystem_name(part.u8(5)),
        sha256=_digest(part),
        gop=found,
    )


def _announced(area: parts.Area, place: int) -> bool:
    """Whether a program, or what is not to be looked at, covers a place."""
    return any(start <= place < end for start, end in area.programs)


def _program_around(whole: span.Span, at: int) -> span.Span | None:
    """The PE image that covers offset ``at`` and ends where its headers say."""
    before = whole.start + at
    for _ in range(_CANDIDATES):
        before = whole.data.rfind(b"MZ", max(whole.start, before - _FARTHEST_BACK), before)
        if before < 0:
            return None
        part = whole.sub(before - whole.start)
        try:
            size = pe.parse(part).size
        except errors.RomError:
            continue
        if before + size > whole.start + at:
            return part.sub(0, size)
    return None


def _digest(part: span.Span) -> str:
    return hashlib.sha256(part.view()).hexdigest()
