"""Adding and removing whole lines of a file that we share with its user: every other byte stays."""

from __future__ import annotations

from collections.abc import Collection

HEADER = "# Managed by Transom; see 'transom plan'. Lines of your own are kept."
TAKEN_OVER = "# transom took over: "


def split(text: str) -> list[str]:
    r"""The physical lines with their ends; only ``\n`` ends a line, as for the shell and kmod."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def add(text: str, new: str, *, unfinished: bool = False) -> str:
    """``text`` with ``new`` as its last line; a file that had no final newline has none afterwards, which lets ``drop`` undo it.

    ``unfinished``: the text ends inside a line (a backslash, an open quote) that would swallow ours; then ours comes first.
    """
    if not text:
        return f"{HEADER}\n{new}\n"
    if unfinished:
        return f"{new}\n{text}"
    return f"{text}{new}\n" if text.endswith("\n") else f"{text}\n{new}"


def drop(text: str, numbers: Collection[int]) -> str:
    """``text`` without these lines (1-based); empty when nothing but our header is left."""
    lines = split(text)
    kept = [line for number, line in enumerate(lines, 1) if number not in numbers]
    if kept and len(lines) in numbers and not lines[-1].endswith("\n"):
        kept[-1] = kept[-1].removesuffix("\n")
    return tidy("".join(kept))


def tidy(text: str) -> str:
    """Empty when ``text`` is our header alone: a file that only says that it is ours goes."""
    return "" if text.strip() == HEADER else text


def between(text: str, edited: str, first: int, last: int) -> str:
    """What ``edited`` has in place of the lines ``first`` to ``last`` of ``text``, the only ones in which it differs."""
    physical = split(text)
    start, rest = len("".join(physical[: first - 1])), len("".join(physical[last:]))
    return edited[start : len(edited) - rest]


def behind_taken_over(text: str, number: int) -> int:
    """The line to look at for what stood on line ``number``: behind the comments that earlier take-overs left of it."""
    physical = split(text)
    while number <= len(physical):
        first = number
        while first > 1 and _continued(physical[first - 2]):
            first -= 1
        if not physical[first - 1].startswith(TAKEN_OVER):
            return number
        while number < len(physical) and _continued(physical[number - 1]):
            number += 1
        number += 1
    return number


def taken_over(old: str, new: str, *, again: bool) -> str:
    """``new`` behind ``old`` as a comment; without the comment when this line was taken over before (``again``)."""
    return new if again else TAKEN_OVER + old.removesuffix("\n") + ("\n" + new if new else old[len(old.rstrip("\n")) :])


def _continued(physical: str) -> bool:
    ending = physical.removesuffix("\n")
    return physical.endswith("\n") and (len(ending) - len(ending.rstrip("\\"))) % 2 == 1
