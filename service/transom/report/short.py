"""Long values as plans and drift show them: on one line, cut around the first difference. JSON and the store have them whole."""

from __future__ import annotations

WIDE = 240
_LEAD = 60
"""Characters shown before the first difference."""


def pair(old: str | None, new: str | None) -> tuple[str, str]:
    """Both values for a person; cut alike, so that what differs is seen in both."""
    values = _line(old), _line(new)
    if max(map(len, values)) <= WIDE:
        return values
    differs = (at for at, (one, other) in enumerate(zip(*values, strict=False)) if one != other)
    start = max(0, next(differs, min(map(len, values))) - _LEAD)
    return _cut(values[0], start), _cut(values[1], start)


def _line(value: str | None) -> str:
    return " ⏎ ".join((value or "").strip("\n").splitlines())


def _cut(value: str, start: int) -> str:
    part = value[start : start + WIDE]
    if part == value:
        return value
    return f"{'…' * bool(start)}{part}{'…' * (start + WIDE < len(value))} ({len(value)} characters)"
