"""Where two texts of one file differ, as places that can be found again by their lines alone.

A place takes in whole lines, and as many unchanged neighbours as it needs to stand in the file once. Places of one file never
overlap, so each can be put back by itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from transom.host import lines

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""What older versions took for the end of a line (``str.splitlines``); of ours only the newline ends one."""


@dataclasses.dataclass(frozen=True)
class Place:
    """The lines before, the lines instead, and the 1-based line at which those before stood."""

    line: int
    before: str
    applied: str


@dataclasses.dataclass
class _Line:
    """A line of the text as it is now; ``origin``: its index in the text before, None when it belongs to a place."""

    text: str
    origin: int | None


def between(texts: Sequence[str], known: Sequence[tuple[str, str]] = ()) -> tuple[Place, ...]:
    """The places in which the last of ``texts`` differs from the first, each text being one change of the one before it.

    ``known``: (before, applied) of places that the first text has already. The places are then those against the text before
    them; one that no later change came near comes out as it was.
    """
    now, before = _opened(texts[0], known)
    for text in texts[1:]:
        _change(now, lines.split(text))
    found = _found(now, before)
    while (vague := next((span for span in found if not _once(now, span[0], span[1])), None)) is not None:
        start, end, _, _ = vague
        # a neighbour more, until it stands there once: at most all lines
        now[start - 1 if start else end].origin = None
        found = _found(now, before)
    return tuple(
        Place(old_start + 1, "".join(before[old_start:old_end]), _joined(now, start, end))
        for start, end, old_start, old_end in found
    )


def spans(text: str, part: str) -> tuple[int, ...]:
    """The offsets at which ``part`` stands in ``text`` as whole lines; two may overlap."""
    found: list[int] = []
    at = text.find(part) if part else -1
    while at >= 0:
        end = at + len(part)
        begins = at == 0 or text[at - 1] in _BREAKS
        if begins and (part[-1] in _BREAKS or end == len(text) or text[end] in _BREAKS):
            found.append(at)
        at = text.find(part, at + 1)
    return tuple(found)


def _opened(text: str, known: Sequence[tuple[str, str]]) -> tuple[list[_Line], list[str]]:
    """The lines of ``text``, and those of the text as it was before the known places, the longest first where two overlap."""
    at: dict[int, tuple[int, str]] = {}
    for before, applied in sorted(known, key=lambda pair: -len(pair[1])):
        where = spans(text, applied)
        if len(where) != 1:
            continue
        start, end = where[0], where[0] + len(applied)
        whole = text[:start][-1:] in {"", "\n"} and (end == len(text) or applied[-1] == before[-1:] == "\n")
        if whole and not any(start < other_end and other < end for other, (other_end, _) in at.items()):
            at[start] = end, before
    now, old, done = list[_Line](), list[str](), 0
    for start, (end, before) in [*sorted(at.items()), (len(text), (len(text), ""))]:
        for line in lines.split(text[done:start]):
            now.append(_Line(line, len(old)))
            old.append(line)
        now += [_Line(line, None) for line in lines.split(text[start:end])]
        old += lines.split(before)
        done = end
    return now, old


def _change(now: list[_Line], then: list[str]) -> None:
    """``now`` with the lines of ``then``: what is not the same from the top or from the end belongs to a place."""
    least = min(len(now), len(then))
    top = next((at for at in range(least) if now[at].text != then[at]), least)
    end = next((at for at in range(least - top) if now[-1 - at].text != then[-1 - at]), least - top)
    now[top : len(now) - end] = [_Line(text, None) for text in then[top : len(then) - end]]


def _found(now: list[_Line], before: list[str]) -> list[tuple[int, int, int, int]]:
    """(start, end, start before, end before) of all that lies between lines that stayed."""
    stayed = [(at, line.origin) for at, line in enumerate(now) if line.origin is not None]
    around = itertools.pairwise([(-1, -1), *stayed, (len(now), len(before))])
    return [
        (at + 1, end, old + 1, old_end)
        for (at, old), (end, old_end) in around
        if (at + 1, old + 1) != (end, old_end)
    ]  # fmt: skip


def _once(now: list[_Line], start: int, end: int) -> bool:
    whole = start == 0 and end == len(now)
    return whole or len(spans(_joined(now, 0, len(now)), _joined(now, start, end))) == 1


def _joined(now: list[_Line], start: int, end: int) -> str:
    return "".join(line.text for line in now[start:end])
