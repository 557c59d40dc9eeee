r"""modprobe.d as kmod reads it: which files in which order, what a line says.

From kmod's sources (libkmod-config.c, libkmod-module.c, libkmod-util.c) and checked with ``modprobe -c`` of version 30:

* Files of all folders are sorted by name together (``strcmp``); of two with one name /etc wins over /run, /usr/local/lib, /lib.
  ``zz-transom.conf`` is therefore read last but for names that sort after it. The kernel command line is read after all files.
* ``options`` of a module are joined in that order and given to the kernel at once, which takes the last of two ``ids=``.
* Of several ``softdep`` lines for one module only the *first* counts.
* A backslash joins the next line, in comments too, and is otherwise dropped: `` \blacklist i915`` is ``blacklist i915``.
  Leading blanks do not matter, so the article's file with its odd blanks blacklists all three modules. ``\r`` is part of a
  word: CRLF files name modules that do not exist.
"""

from __future__ import annotations

import dataclasses
import posixpath

from transom import model
from transom.host import files, module_names, source

OWN = "/etc/modprobe.d/zz-transom.conf"
_REQUIRED = "/etc/modprobe.d/*.conf"
_OTHERS = (
    "/run/modprobe.d/*.conf",
    "/usr/local/lib/modprobe.d/*.conf",
    "/usr/lib/modprobe.d/*.conf",
    "/lib/modprobe.d/*.conf",
)


@dataclasses.dataclass(frozen=True)
class Directive:
    """One logical line that says something: its words, and the physical lines (1-based, both included) that it takes."""

    words: tuple[source.Chars, ...]
    chars: source.Chars
    path: str
    first: int
    last: int

    def word(self, index: int) -> str:
        """The word at ``index``, empty when there is none."""
        return source.text(self.words[index]) if index < len(self.words) else ""

    def names(self, kind: str) -> str:
        """The module that a ``kind`` line (``blacklist``, ``options``, …) is about; empty for any other line."""
        return module_names.normal(self.word(1)) if self.word(0) == kind else ""


def ordered(facts: model.Facts) -> tuple[model.HostFile, ...] | model.Unknown:
    """The files of modprobe.d in the order in which kmod reads them."""
    found = files.listed(facts, _REQUIRED)
    if isinstance(found, model.Unknown):
        return found
    first: dict[str, model.HostFile] = {posixpath.basename(file.path): file for file in found}
    for pattern in _OTHERS:
        more = files.present(facts, pattern)
        if isinstance(more, model.Unknown):
            return more
        for file in more:
            first.setdefault(posixpath.basename(file.path), file)
    return tuple(first[name] for name in sorted(first, key=lambda name: name.encode()))


def all_directives(facts: model.Facts) -> tuple[Directive, ...] | model.Unknown:
    """The lines of all files in reading order."""
    found = ordered(facts)
    if isinstance(found, model.Unknown):
        return found
    return tuple(one for file in found for one in directives(str(file.text), file.path))


def directives(text: str, path: str) -> tuple[Directive, ...]:
    """The logical lines of one file, without comments and empty ones."""
    found: list[Directive] = []
    chars: list[source.Char] = []
    at, line, first = 0, 1, 1
    while at < len(text):
        if text.startswith("\\\n", at):
            at, line = at + 2, line + 1
        elif text[at] == "\n":
            _finish(found, chars, path, first, line)
            chars, at, line = [], at + 1, line + 1
            first = line
        else:
            width = 2 if text[at] == "\\" and at + 1 < len(text) else 1
            chars.append(source.Char(text[at + width - 1], path, line, at, at + width))
            at += width
    _finish(found, chars, path, first, line)
    return tuple(found)


def _finish(found: list[Directive], chars: list[source.Char], path: str, first: int, last: int) -> None:
    words = source.words(chars)
    if words and chars[0].text != "#":
        found.append(Directive(words, tuple(chars), path, first, last))


def unfinished(text: str) -> bool:
    """Whether the text ends in a backslash that would swallow a line put behind it."""
    ending = text.removesuffix("\n")
    return (len(ending) - len(ending.rstrip("\\"))) % 2 == 1


def option_words(one: Directive) -> tuple[source.Chars, ...]:
    """The options of an ``options`` line, split as the kernel does: double quotes keep blanks together."""
    rest = one.words[2:]
    if not rest:
        return ()
    found: list[list[source.Char]] = [[]]
    quoted = False
    for char in one.chars[one.chars.index(rest[0][0]) :]:
        quoted ^= char.text == '"'
        if char.text in " \t\r" and not quoted:
            found.append([])
        else:
            found[-1].append(char)
    return tuple(tuple(word) for word in found if word)
