"""Characters that remember where they were written, so that a value can be traced to its line and edited in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Char:
    """One character of a value as the system reads it, and the span of the file that gives it.

    ``start`` and ``end`` are offsets into the text of ``path``: an escaped character spans two. ``quoted``: it stood between quotes
    or behind a backslash, and so has no meaning to the reader's syntax.
    """

    text: str
    path: str
    line: int
    start: int
    end: int
    quoted: bool = False

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


Chars = tuple[Char, ...]


def plain(line: str, path: str) -> Chars:
    """A line in which no character stands for another."""
    return tuple(Char(one, path, 1, at, at + 1) for at, one in enumerate(line))


def text(chars: Sequence[Char]) -> str:
    """The value alone."""
    return "".join(char.text for char in chars)


def words(chars: Sequence[Char], blanks: str = " \t") -> tuple[Chars, ...]:
    """The runs between blanks; quotes mean nothing here."""
    found: list[list[Char]] = [[]]
    for char in chars:
        if char.text in blanks:
            found.append([])
        else:
            found[-1].append(char)
    return tuple(tuple(word) for word in found if word)


def cut(source: str, word: Sequence[Char], value: Sequence[Char], blanks: str = " \t") -> str:
    """``source`` without ``word`` and the one blank of ``value`` that set it apart; an escaped blank goes with its backslash."""
    start, end = word[0].start, word[-1].end
    apart = [char for char in value if char.text in blanks]
    if before := next((char for char in apart if char.end == start), None):
        return source[: before.start] + source[end:]
    behind = next((char for char in apart if char.start == end), None)
    return source[:start] + source[behind.end if behind else end :]
