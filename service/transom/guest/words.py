"""The ``args`` line as words, split as qemu-server does it: Perl's Text::ParseWords ``shellwords``, not a POSIX shell.

Its quirks matter: an unbalanced quote or a lone backslash at the end gives *no words at all*, and PVE then starts the VM without
any of them; in double quotes a backslash always takes the next character as it is; in single quotes ``\\'`` does not end the text.
"""

from __future__ import annotations

import re

_SPACE = re.compile(r"\s+", re.ASCII)


class Unbalanced(ValueError):
    """A quote is not closed, or a backslash stands alone at the end."""


def split(line: str) -> tuple[str, ...]:
    """The words of ``line``; Unbalanced when PVE would silently drop them all."""
    words: list[str] = []
    word: str | None = None
    at, line = 0, line.lstrip(" \t\n\r\f\v")
    while at < len(line):
        space = _SPACE.match(line, at)
        if space:
            if word is not None:
                words.append(word)
            word, at = None, space.end()
            continue
        piece, at = _piece(line, at)
        word = (word or "") + piece
    return (*words, word) if word is not None else tuple(words)


def _piece(line: str, at: int) -> tuple[str, int]:
    """One quoted text, one escaped or one plain character at ``at``, and where it ends."""
    first = line[at]
    if first in "\"'":
        end = _closing(line, at)
        inner = line[at + 1 : end]
        return (re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL) if first == '"' else inner), end + 1
    if first == "\\":
        if at + 1 == len(line):
            raise Unbalanced("a backslash stands alone at the end")
        return line[at + 1], at + 2
    return first, at + 1


def _closing(line: str, at: int) -> int:
    end = at + 1
    while end < len(line) and line[end] != line[at]:
        end += 2 if line[end] == "\\" else 1
    if end >= len(line):
        raise Unbalanced(f"the quote {line[at]} at character {at + 1} is not closed")
    return end
