r"""What a file of plain ``sh`` assignments gives, character by character, as ``grub-mkconfig`` would have it by sourcing it.

Understood: assignments (also ``export`` and several on a line), single and double quotes, backslashes, continuation lines,
comments, ``$NAME`` and ``${NAME}``. A value that cannot be told (command substitution, ``${x:-y}``, a variable set elsewhere)
carries a *hole*, which matters only where the value is used. Anything else that runs (``if``, a command, ``+=``, which dash, the
``/bin/sh`` of Debian, takes for a command and stops at) cannot be judged.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from transom.host import source

HOLE = "\x00"
"""Stands in a value for text that cannot be told; no sh value holds this byte."""

_BRACED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BROKEN = re.compile(r"\$(?:\\\n|[A-Za-z0-9_]+(?:\\\n)+[A-Za-z0-9_])")
_HARMLESS = re.compile(r"\$\(|\$\{[A-Za-z_][A-Za-z0-9_]*(?::?[-+]|%%?|##?)")
"""Expansions that give a value and nothing else; ``${x=y}`` sets x, ``${x?y}`` may stop the shell."""
_BACKTICKS = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL)
_NAMED = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ASSIGN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_BARE_EXPORT = re.compile(r"export(?:[ \t]+[A-Za-z_][A-Za-z0-9_]*)+[ \t]*(?=[;\n#]|$)")
_EXPORT = re.compile(r"export[ \t]+(?=[A-Za-z_])")
_BLANKS = " \t"


class Unjudged(Exception):
    """This file does what only a shell could follow; ``line`` is 1-based. ``unfinished``: it ends inside a quote or a line."""

    def __init__(self, path: str, line: int, reason: str, *, unfinished: bool = False) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.unfinished = unfinished


@dataclasses.dataclass(frozen=True)
class Assignment:
    """One assignment. ``start:end`` is its span in the text, ``value`` what it gives with earlier values put in."""

    name: str
    value: source.Chars
    path: str
    line: int
    start: int
    end: int
    value_start: int
    """Where the right-hand side begins."""


def walk(text: str, path: str, known: dict[str, source.Chars]) -> Iterator[Assignment]:
    """Every assignment in order; ``known`` (name → value) gives earlier values and is kept up to date. Unjudged when it cannot."""
    return _Reader(text, path, known).read()


def unfinished(text: str) -> bool:
    """Whether a line put behind ``text`` would be swallowed by what stands there."""
    try:
        tuple(walk(text, "", {}))
    except Unjudged as fault:
        return fault.unfinished
    return text.endswith(("\\", "\\\n"))


class _Reader:
    """One pass over one file; ``at`` is the offset."""

    def __init__(self, text: str, path: str, known: dict[str, source.Chars]) -> None:
        self.text, self.path, self.known, self.at = text, path, known, 0

    def read(self) -> Iterator[Assignment]:
        fresh = True
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == ";" and fresh:
                raise self._fault("';' ends nothing here: the shell stops")
            if here in "\n;":
                self.at, fresh = self.at + 1, True
            elif here in _BLANKS:
                self.at += 1
            elif self.text.startswith("\\\n", self.at):
                self.at += 2
            elif here == "#":
                self.at = self._end_of_line()
            elif fresh and (bare := _BARE_EXPORT.match(self.text, self.at)):
                self.at, fresh = bare.end(), False
            else:
                yield self._assignment(fresh)
                fresh = False

    def _assignment(self, fresh: bool) -> Assignment:
        if fresh and (export := _EXPORT.match(self.text, self.at)):
            self.at = export.end()
        assign = _ASSIGN.match(self.text, self.at)
        if assign is None:
            raise self._fault(f"{self._glimpse()} cannot be judged without running it")
        start = self.at
        self.at = assign.end()
        value = self._word()
        self.known[assign.group(1)] = value
        return Assignment(assign.group(1), value, self.path, self._line(start), start, self.at, assign.end())

    def _word(self) -> source.Chars:
        chars: list[source.Char] = []
        if self.text.startswith("~", self.at):
            chars.append(self._char(HOLE, self.at, self.at + 1))
            self.at += 1
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;":
            here = self.text[self.at]
            if here in "&|()<>":
                raise self._fault(f"{here!r} cannot be judged without running it")
            if here == "'":
                chars += self._single()
            elif here == '"':
                chars += self._double()
            else:
                chars += self._plain(quoted=False)
        return tuple(chars)

    def _single(self) -> list[source.Char]:
        opened = self.at
        close = self.text.find("'", opened + 1)
        if close < 0:
            raise self._fault("a quote that is never closed", unfinished=True)
        self.at = close + 1
        return [self._char(self.text[at], at, at + 1, quoted=True) for at in range(opened + 1, close)]

    def _double(self) -> list[source.Char]:
        opened = self.at
        self.at += 1
        chars: list[source.Char] = []
        while self.at < len(self.text) and self.text[self.at] != '"':
            chars += self._plain(quoted=True)
        if self.at >= len(self.text):
            self.at = opened
            raise self._fault("a quote that is never closed", unfinished=True)
        self.at += 1
        return chars

    def _plain(self, *, quoted: bool) -> list[source.Char]:
        """One character, escape or expansion; between double quotes a backslash escapes only what has a meaning there."""
        here = self.text[self.at]
        if here == "\\":
            return self._escape(quoted)
        if here == "$":
            return self._expansion(quoted)
        if here == "`":
            return self._hole(self._skip_backticks())
        self.at += 1
        return [self._char(here, self.at - 1, self.at, quoted=quoted)]

    def _escape(self, quoted: bool) -> list[source.Char]:
        start, follows = self.at, self.text[self.at + 1 : self.at + 2]
        if not follows:
            raise self._fault("the file ends with a backslash", unfinished=True)
        if quoted and follows not in '$`"\\\n':
            self.at += 1
            return [self._char("\\", start, self.at, quoted=True)]
        self.at += 2
        return [] if follows == "\n" else [self._char(follows, start, self.at, quoted=True)]

    def _expansion(self, quoted: bool) -> list[source.Char]:
        start = self.at
        if _BROKEN.match(self.text, start):
            raise self._fault("a variable's name goes on in the next line")
        if named := _BRACED.match(self.text, start) or _NAMED.match(self.text, start):
            self.at = named.end()
            return list(self.known[named.group(1)]) if named.group(1) in self.known else self._hole(start)
        if _HARMLESS.match(self.text, start):
            self._skip_brackets()
            return self._hole(start)
        if self.text.startswith("${", start):
            raise self._fault("an expansion that cannot be judged without running it")
        self.at += 1
        if self.text[self.at : self.at + 1] and self.text[self.at] in "@*#?-$!0123456789":
            self.at += 1
            return self._hole(start)
        return [self._char("$", start, self.at, quoted=quoted)]

    def _skip_backticks(self) -> int:
        start = self.at
        end = _BACKTICKS.match(self.text, start)
        if end is None:
            raise self._fault("a command substitution that is never closed", unfinished=True)
        self.at = end.end()
        return start

    def _skip_brackets(self) -> None:
        """Past ``$(…)`` or ``${…}``. Brackets in quotes inside it are counted too: at worst the rest cannot be judged."""
        opening = self.text[self.at + 1]
        closing = {"(": ")", "{": "}"}[opening]
        depth, at = 0, self.at + 1
        while at < len(self.text):
            depth += {opening: 1, closing: -1}.get(self.text[at], 0)
            at += 1
            if depth == 0:
                self.at = at
                return
        raise self._fault("an expansion that is never closed", unfinished=True)

    def _hole(self, start: int) -> list[source.Char]:
        return [self._char(HOLE, start, self.at, quoted=True)]

    def _char(self, text: str, start: int, end: int, *, quoted: bool = False) -> source.Char:
        return source.Char(text, self.path, self._line(start), start, end, quoted)

    def _line(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def _end_of_line(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def _glimpse(self) -> str:
        return repr(self.text[self.at : self._end_of_line()].split(" ")[0][:40])

    def _fault(self, reason: str, *, unfinished: bool = False) -> Unjudged:
        return Unjudged(self.path, self._line(self.at), reason, unfinished=unfinished)
