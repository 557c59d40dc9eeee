"""Version conditions such as ``>=5.15,<6.8``, for kernels, QEMU and packages."""

from __future__ import annotations

import operator
import re

_TERM = re.compile(r"\s*(>=|<=|==|!=|<|>)\s*([0-9]+(?:[.-][0-9]+)*)\s*")
_LEADING = re.compile(r"[0-9]+(?:[.-][0-9]+)*")
_OPS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt}


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``5.15.74-1-pve`` is (5, 15, 74, 1). ValueError when it starts with none."""
    leading = _LEADING.match(version)
    if leading is None:
        raise ValueError(f"{version!r} does not start with a number")
    return tuple(int(part) for part in re.split("[.-]", leading.group()))


def matches(version: str, condition: str) -> bool:
    """Whether ``version`` meets every comma-separated term; an empty condition always holds.

    A term compares as many numbers as it writes: 6.8.12 is ``==6.8`` and not ``>6.8``. ValueError for a term that is none.
    """
    found = numbers(version)
    return all(_holds(found, term) for term in condition.split(",") if condition.strip())


def _holds(found: tuple[int, ...], term: str) -> bool:
    parsed = _TERM.fullmatch(term)
    if parsed is None:
        raise ValueError(f"{term!r} is not a version condition such as >=5.15 or <6.8")
    limit = numbers(parsed.group(2))
    padded = found + (0,) * len(limit)
    return bool(_OPS[parsed.group(1)](padded[: len(limit)], limit))
