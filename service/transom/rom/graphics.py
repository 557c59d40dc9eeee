"""Intel graphics by generation: which PCI device ids, and which major version of the GOP driver."""

from __future__ import annotations

import dataclasses

INTEL = 0x8086


@dataclasses.dataclass(frozen=True)
class Generation:
    """``ids`` are pairs of first and last device id."""

    name: str
    majors: tuple[int, ...]
    ids: tuple[tuple[int, int], ...]

    def holds(self, device: int) -> bool:
        return any(first <= device <= last for first, last in self.ids)


GENERATIONS = (
    Generation("Sandy Bridge", (2,), ((0x0102, 0x0102), (0x0106, 0x0106), (0x010A, 0x010A), (0x0112, 0x0126))),
    Generation("Ivy Bridge", (3,), ((0x0152, 0x0152), (0x0156, 0x0156), (0x015A, 0x015A), (0x0162, 0x016A))),
    Generation("Bay Trail", (7,), ((0x0155, 0x0155), (0x0157, 0x0157), (0x0F30, 0x0F33))),
    Generation("Braswell", (8,), ((0x22B0, 0x22B3),)),
    Generation(
        "Haswell, Broadwell",
        (5,),
        ((0x0402, 0x042E), (0x0A02, 0x0A2E), (0x0C02, 0x0C2E), (0x0D02, 0x0D2E), (0x1602, 0x163E)),
    ),
    Generation(
        "Skylake to Comet Lake",
        (9,),
        ((0x1902, 0x193D), (0x5902, 0x593B), (0x87C0, 0x87CA), (0x3E90, 0x3EAC), (0x9B21, 0x9BF6)),
    ),
    Generation("Apollo Lake", (10,), ((0x5A84, 0x5A85), (0x1A84, 0x1A85), (0x0A84, 0x0A85))),
    Generation("Cannon Lake", (), ((0x5A40, 0x5A5C),)),
    Generation("Gemini Lake", (13,), ((0x3184, 0x3185),)),
    Generation("Ice Lake", (14,), ((0x8A50, 0x8A71),)),
    Generation(
        "Tiger Lake, Rocket Lake, Alder Lake-S, Raptor Lake-S",
        (17,),
        ((0x9A40, 0x9AF8), (0x4C80, 0x4C9A), (0x4680, 0x4693), (0xA780, 0xA78B)),
    ),
    Generation("Jasper Lake, Elkhart Lake", (18,), ((0x4E51, 0x4E71), (0x4500, 0x4571))),
    Generation(
        "Alder Lake-P and -N, Raptor Lake-P, Twin Lake",
        (21,),
        ((0x4626, 0x462A), (0x46A0, 0x46D4), (0xA720, 0xA721), (0xA7A0, 0xA7AD)),
    ),
    Generation("Meteor Lake, Arrow Lake", (22,), ((0x7D40, 0x7DD7), (0xB640, 0xB640))),
    Generation("Lunar Lake, Panther Lake", (), ((0x6420, 0x64B0), (0xB080, 0xB0BF))),
)

_KNOWN = bytearray(0x10000)
for _generation in GENERATIONS:
    for _first, _last in _generation.ids:
        _KNOWN[_first : _last + 1] = b"\1" * (_last + 1 - _first)


def known(device: int) -> bool:
    """Whether the id lies where Intel's integrated graphics are."""
    return bool(_KNOWN[device])


def generation_of(device: int) -> Generation | None:
    return next((one for one in GENERATIONS if one.holds(device)), None)
