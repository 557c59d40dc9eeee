"""Recognises Intel's GOP driver in a PE image: its name, the version that it reports and the device ids that it serves.

The name is plain UTF-16 text, once in each driver. The version is not: the driver joins separate literals when it starts, in the
order ``name " [" major "." minor "." build "]"``; so the code that loads their addresses (``lea reg, [rip+offset]``) is
read. Measured on real drivers 7.2 to 22.0. The ids stand as a run of u16, in most drivers shortly behind the name.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import struct

from transom.rom import graphics, pe, span

NAME = "Intel(R) GOP Driver"
NAME_BYTES = NAME.encode("utf-16-le")
UNKNOWN = "unknown"

_NEAR = 0x400  # the table of ids stood 0x80 to 0x140 bytes behind the name in every driver measured
_FARTHEST = 1 << 20  # real drivers have 60 to 190 KB
_FEWEST_NEAR, _FEWEST_FAR = 4, 8
_PLENTY = 12  # ids; the shortest tables of real drivers that serve more than one board have 13
_SHORTEST, _STRANGERS = 3, 3
_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]", re.DOTALL)
_DIGITS = re.compile(rb"((?:[0-9]\0){1,5})\0\0")
_MOST_LOADS = 50_000  # real drivers have 2,000 to 8,000
_CALLS_BETWEEN = 0x200  # the joining code is 100 to 160 bytes long


@dataclasses.dataclass(frozen=True)
class Gop:
    """What a driver tells of itself. ``version`` is "unknown" and ``devices`` empty where it cannot be read."""

    version: str
    devices: tuple[int, ...]

    @property
    def major(self) -> int | None:
        return None if self.version == UNKNOWN else int(self.version.split(".")[0])


def read(image: span.Span, header: pe.Pe) -> Gop | None:
    """The GOP driver that the image is, or None when it does not hold the name."""
    name = image.find(NAME_BYTES)
    if name < 0:
        return None
    version = _version(image, header, name)
    return Gop(version, _devices(image, header, name, version))


def _version(image: span.Span, header: pe.Pe, name: int) -> str:
    if header.machine != pe.X64:
        return UNKNOWN
    code = image.sub(0, min(len(image), header.size)).view()
    found = itertools.islice(_LEA.finditer(code), _MOST_LOADS)
    loads = [(m.start(), _target(image, header, m.start())) for m in found]
    for place, (at, target) in enumerate(loads):
        if target == name:
            near = [t for a, t in loads[place + 1 : place + 12] if a - at < _CALLS_BETWEEN]
            version = _joined(image, near)
            if version != UNKNOWN:
                return version
    return UNKNOWN


def _target(image: span.Span, header: pe.Pe, at: int) -> int:
    """File offset of what a ``lea`` at file offset ``at`` loads, or -1."""
    for part in header.sections:
        if part.offset <= at < part.offset + part.size and at + 7 <= len(image):
            address = at - part.offset + part.address + 7 + struct.unpack("<i", image.cut(at + 3, 4))[0]
            found = header.offset_of(address)
            return -1 if found is None or found >= len(image) else found
    return -1


def _joined(image: span.Span, targets: list[int]) -> str:
    """Major, minor and build out of the literals up to the closing bracket."""
    numbers: list[str] = []
    for target in targets:
        if target < 0:
            continue
        if image.startswith(b"]\0\0\0", target):
            break
        digits = _DIGITS.match(image.view(), target)
        if digits:
            numbers.append(digits[1].decode("utf-16-le"))
    return ".".join(numbers) if len(numbers) == 3 else UNKNOWN


def _devices(image: span.Span, header: pe.Pe, name: int, version: str) -> tuple[int, ...]:
    """The driver's table: the longest run near its name. A short one there yields to a table elsewhere that is much longer
    and all of the driver's own generation; other runs elsewhere name platforms that the driver only tells apart."""
    near = max(_runs(image, name, min(name + _NEAR, len(image)), _FEWEST_NEAR), key=len, default=())
    if len(near) >= _PLENTY:
        return near
    far = max((run for run in _far(image, header) if not near or _of_version(run, version)), key=len, default=())
    return far if len(far) >= 3 * len(near) else near


def _far(image: span.Span, header: pe.Pe) -> list[tuple[int, ...]]:
    return [
        run
        for part in header.sections
        if part.name != ".reloc" and part.size
        for run in _runs(image, part.offset, min(part.offset + min(part.size, _FARTHEST), len(image)), _FEWEST_FAR)
        if not _even_steps(run)
    ]


def _of_version(run: tuple[int, ...], version: str) -> bool:
    if version == UNKNOWN:
        return False
    generations = {graphics.generation_of(device) for device in run}
    return all(one is not None and int(version.split(".")[0]) in one.majors for one in generations)


def _runs(image: span.Span, start: int, end: int, fewest: int) -> list[tuple[int, ...]]:
    """Runs of at least ``fewest`` different known ids, one after another, on even places. Two runs with up to three other
    words between them are one: simulators' ids stand there (FF20, 9940, CAFE in Tiger Lake's)."""
    words = memoryview(image.cut(start, (end - start) & ~1)).cast("H")
    runs: list[tuple[int, list[int]]] = []  # where each ends, and its ids
    for known, group in itertools.groupby(enumerate(words), key=lambda pair: graphics.known(pair[1])):
        if not known:
            continue
        places, ids = zip(*group, strict=True)
        if len(ids) < _SHORTEST:
            continue
        if runs and places[0] - runs[-1][0] <= _STRANGERS and all(words[runs[-1][0] : places[0]]):
            ids = (*runs.pop()[1], *ids)
        runs.append((places[-1] + 1, list(ids)))
    return [tuple(dict.fromkeys(ids)) for _, ids in runs if len(set(ids)) >= fewest]


def _even_steps(run: tuple[int, ...]) -> bool:
    """Tables of addresses or of a curve climb evenly; tables of ids do not."""
    steps = {b - a for a, b in itertools.pairwise(run)}
    return len(steps) == 1 and steps != {1}
