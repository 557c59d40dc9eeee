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
