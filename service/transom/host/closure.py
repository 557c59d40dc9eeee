"""What hangs together over several steps: modules that need modules, disks that are made of disks."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def closure(start: str, next_to: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """``start`` and all that it leads to, each once, in the order of finding; circles are no matter."""
    seen: dict[str, None] = {}
    left = [start]
    while left:
        one = left.pop()
        if one not in seen:
            seen[one] = None
            left += next_to(one)
    return tuple(seen)
