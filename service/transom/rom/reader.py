"""One reading of one input: what is known so far, what it may still cost, and the ways down into nested parts."""

from __future__ import annotations

import dataclasses
import hashlib

from transom import errors
from transom.rom import budget as budgets
from transom.rom import gop, oprom, parts, pe, raw, rominfo, section, span, tree, vbt

STRAY = "PE in raw data"  # the form of a program that no structure announces

_FARTHEST_BACK = 4 * budgets.MIB  # no driver is larger
_CANDIDATES = 64


class Reader:
    """Collects drivers, tables, legacy images and problems. ``wanted`` names (or gives the GUID of) a driver whose bytes are
    kept too; those of GOP drivers always are."""

    def __init__(self, budget: budgets.Budget, wanted: str = "") -> None:
        self.budget = budget
        self.wanted = wanted.lower()
        self.drivers: list[tree.Driver] = []
        self.vbts: list[vbt.Vbt] = []
        self.images: list[rominfo.Image] = []
        self.problems: list[tree.Problem] = []
        self.fsp = False

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
        self.images.extend(oprom.find(area.whole))
        at = area.whole.find(gop.NAME_BYTES)
        while at >= 0:
            self.budget.structure(area.depth, at)
            place = area.whole.start + at
            if not any(start <= place < end for start, end in area.programs):
                self._stray(area, at)
            at = area.whole.find(gop.NAME_BYTES, at + len(gop.NAME_BYTES))

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
        )
        driver = te_driver(part, facts) if form == "TE" else pe_driver(part, facts)
        if driver.damaged and not unit.damaged:
            self.problem(tree.Level.DAMAGE, f"program {unit.name or unit.guid}: {driver.damaged}", area, part.start)
        if driver.gop or (self.wanted and self.wanted in (unit.name.lower(), unit.guid)):
            driver = dataclasses.replace(driver, data=part.cut(0, driver.size))
        self.drivers.append(driver)


def pe_driver(part: span.Span, facts: tree.Driver) -> tree.Driver:
    """``facts`` completed from the PE headers; what stands wrong in them makes it damaged."""
    try:
        header = pe.parse(part)
    except errors.RomError as wrong:
        return dataclasses.replace(facts, damaged=span.reason(wrong), sha256=_digest(part))
    behind = part.sub(header.size)
    # padding behind the PE is the container's, anything else may belong to the driver
    part = part.sub(0, header.size) if len(behind) and behind.blank() else part
    extra = len(part) - header.size
    return dataclasses.replace(
        facts,
        machine=header.machine_name,
        subsystem=header.subsystem_name,
        size=len(part),
        sha256=_digest(part),
        gop=gop.read(part, header),
        unloadable=pe.loadable(header),
        warnings=(f"{extra} bytes follow the PE image",) if extra else (),
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
