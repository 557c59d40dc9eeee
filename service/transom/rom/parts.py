"""What the readers of nested parts hand to one another."""

from __future__ import annotations

import dataclasses

from transom.rom import span


@dataclasses.dataclass
class Area:
    """One buffer: the input itself, or a part that was expanded. ``programs`` are the executables that structures announce,
    as pairs of offsets in the buffer. ``hidden`` says that the bytes are in a form that is not unpacked: nothing is looked for.
    """

    whole: span.Span
    where: str
    depth: int
    hidden: bool = False
    programs: list[tuple[int, int]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Unit:
    """One FFS file while it is read: the name may come after the program that bears it."""

    guid: str = ""
    name: str = ""
    damaged: str = ""
    programs: list[tuple[span.Span, str]] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
