"""How a mistake in a document is told: the place, the reason, the way out, on one line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from transom import errors

Part = str | int
"""One step of a path inside a document: a field's name, or an index of a list."""

_SHOWN = 60


Problem = errors.Mistake
"""One mistake, in the form in which SpecError carries it."""


def dotted(parts: Iterable[Part]) -> str:
    """``("spec", "host", "modules", 2)`` → ``spec.host.modules[2]``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return printable(text)


def printable(text: str) -> str:
    """``text`` on one line, whatever it holds: a message never carries control characters to a terminal."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def shown(value: object) -> str:
    """A value as a message quotes it: JSON, cut when long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return printable(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def path(file: str) -> str:
    """The path of a file in quotes, whole: cut it would lead nowhere."""
    return f'"{printable(file)}"'


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like ``word``, empty when none is near."""
    options = list(known)
    near = difflib.get_close_matches(word[:_SHOWN], options, n=1, cutoff=0.6)
    same_but_case = [option for option in options if option.lower() == word.lower()]
    return next(iter(same_but_case or near), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "modules"?``, or nothing when no known word is near."""
    best = nearest(word, known)
    return f'; did you mean "{best}"?' if best else ""


def ordered(problems: Iterable[Problem], files: Iterable[str]) -> list[Problem]:
    """In the order to print: by file in the order given, then by line, each once."""
    rank = {file: index for index, file in enumerate(files)}
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda item: (rank.get(item.file, len(rank)), item.line))
