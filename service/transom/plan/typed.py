"""Shell as a person would type it: text into a file, a script handed to another program."""

from __future__ import annotations

import shlex


def to_file(path: str, text: str) -> str:
    """A command that writes exactly ``text``; printf where a here-document could not (no newline at the end)."""
    if not text.endswith("\n") or "\r" in text:
        return f"printf %s {shlex.quote(text)} > {shlex.quote(path)}"
    return to_program(f"cat > {shlex.quote(path)}", text)


def to_program(command: str, text: str, mark: str = "EOF") -> str:
    """``text``, which ends with a newline, on the standard input of ``command``."""
    while mark in text.split("\n"):
        mark += "_"
    return f"{command} <<'{mark}'\n{text}{mark}"
