"""Which of the media types on offer an ``Accept`` header prefers (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

from collections.abc import Iterator

MARKDOWN = "text/markdown"


def choose(header: str, offered: tuple[str, ...]) -> str:
    """The one with the highest weight, the first offered among equals; the first, too, when none is acceptable."""
    ranges = list(_ranges(header))
    return max(offered, key=lambda media: _weight(media, ranges)) if ranges else offered[0]


def _weight(media: str, ranges: list[tuple[str, float]]) -> float:
    """Of the most specific range that fits; 0 when none does."""
    kind = media.partition("/")[0]
    for wanted in (media, f"{kind}/*", "*/*"):
        for name, weight in ranges:
            if name == wanted:
                return weight
    return 0


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for part in header.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name:
            yield name, next((_number(word[2:]) for word in parameters if word.startswith("q=")), 1.0)


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
