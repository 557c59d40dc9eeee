"""What an input holds: reads anything that users have, from a bare driver to a zip around a flash image."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from transom import errors
from transom.rom import budget as budgets
from transom.rom import raw, reader, rominfo, span, tree, vbt

LARGEST = 128 * budgets.MIB  # the largest input taken; SPI flash ends at 64 MiB


@dataclasses.dataclass(frozen=True)
class Contents:
    """``kind`` is efi, rom, firmware or unknown. Drivers, tables and images are in the order found, equal ones once."""

    kind: str
    size: int
    sha256: str
    nodes: tuple[tree.Node, ...]
    drivers: tuple[tree.Driver, ...]
    vbts: tuple[vbt.Vbt, ...]
    images: tuple[rominfo.Image, ...]
    problems: tuple[tree.Problem, ...]
    fsp: bool

    @property
    def gops(self) -> tuple[tree.Driver, ...]:
        """Intel GOP drivers, each of different bytes once: of equal ones the undamaged, then one that structures announce."""
        best: dict[str, tree.Driver] = {}
        for driver in self.drivers:
            if driver.gop and _trust(driver) > _trust(best.get(driver.sha256)):
                best[driver.sha256] = driver
        return tuple(best.values())

    def at_level(self, level: tree.Level) -> tuple[tree.Problem, ...]:
        return tuple(problem for problem in self.problems if problem.level is level)

    @property
    def whole(self) -> bool:
        """Whether all of it could be read and nothing contradicts itself."""
        return self.kind != "unknown" and not self.at_level(tree.Level.DAMAGE)


def read(data: bytes, *, wanted: str = "", budget: budgets.Budget | None = None) -> Contents:
    """Read an input. ``wanted`` (a name, GUID or the beginning of a SHA-256) has that driver's bytes kept too, as those of
    GOP drivers are.

    Raises ``budget.LimitError`` when reading on would cost more than the budget; other faults are ``problems``.
    """
    if len(data) > LARGEST:
        raise budgets.LimitError(f"the input has {len(data)} bytes, more than {LARGEST}")
    one = reader.Reader(budget or budgets.Budget(len(data)), wanted)
    part = span.Span.of(data)
    if raw.is_rom(part):
        kind, nodes = "rom", _rom(one, data)
    else:
        nodes = one.buffer(data, None, "input")
        kind = _kind(one, nodes)
    return Contents(
        kind=kind,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        nodes=nodes,
        drivers=tuple(one.drivers),
        vbts=_once(one.vbts),
        images=tuple(one.images),
        problems=tuple(one.problems),
        fsp=one.fsp and not one.dxe,
    )


def _trust(driver: tree.Driver | None) -> tuple[bool, bool, bool]:
    if driver is None:
        return (False, False, False)
    return (True, not driver.damaged, driver.form not in reader.LOOSE)


def _kind(one: reader.Reader, nodes: tuple[tree.Node, ...]) -> str:
    if len(nodes) == 1 and nodes[0].kind == "EFI program":
        return "efi"
    return "firmware" if one.drivers or any(_has_volume(node) for node in nodes) else "unknown"


def _has_volume(node: tree.Node) -> bool:
    return node.kind == "volume" or any(_has_volume(child) for child in node.children)


def _rom(one: reader.Reader, data: bytes) -> tuple[tree.Node, ...]:
    """An option ROM's images, and the drivers in them."""
    area = one.enter(data, None, "input")
    nodes = []
    try:
        for image in rominfo.walk(area.whole):
            one.images.append(image)
            nodes.append(tree.Node("ROM image", "EFI" if image.is_efi else "legacy", image.offset, image.size))
            if image.is_efi:
                one.rom_image(area, image, "ROM image")
    except budgets.LimitError:
        raise
    except errors.RomError as wrong:
        one.problem(tree.Level.DAMAGE, span.reason(wrong), area, wrong.offset or 0)
    one.vbts.extend(vbt.find(area.whole))
    return tuple(nodes)


def _once(tables: Iterable[vbt.Vbt]) -> tuple[vbt.Vbt, ...]:
    return tuple({table.sha256: table for table in reversed(list(tables))}.values())[::-1]
