"""Numbers as the kernel reads them, in parameters of modules and under /proc/sys: ``kstrtol`` with base 0."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_OCTAL = re.compile(r"[+-]?0[0-7]+")


def plain(value: str) -> int | str:
    """The number that a word is, else the word itself."""
    if not _NUMBER.fullmatch(value):
        return value
    return int(value, 8 if _OCTAL.fullmatch(value) else 0)
