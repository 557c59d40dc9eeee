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


def cut(source: str, start: int, end: int) -> str:
    """``source`` without a word at ``start:end``, and without the one blank that set it apart."""
    if start > 0 and source[start - 1] in " \t":
        return source[: start - 1] + source[end:]
    return source[:start] + (source[end + 1 :] if source[end : end + 1] in {" ", "\t"} else source[end:])
