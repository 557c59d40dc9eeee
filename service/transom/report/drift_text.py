"""How drift reads: what stands now, since when and why, for a terminal and as Markdown. Pure."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from transom.report import short


class Row(Protocol):
    """One difference or finding (``reconcile.backend.DriftRow``)."""

    @property
    def node(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def since(self) -> float: ...
    @property
    def detail(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...


def text(rows: Sequence[Row], *, now: float) -> str:
    """A block a node; ends with a newline."""
    if not rows:
        return "Nothing differs from what is declared.\n"
    return "".join(f"{line}\n" for node, found in _by_node(rows) for line in (node, *_lines(found, now)))


def _stands(found: Sequence[Row]) -> Iterator[str]:
    """Why the node is not put right, on a line of its own; nothing where nobody can say more than that it differs."""
    if found[0].reason:
        yield f"{found[0].state}: {found[0].reason}"


def _lines(rows: list[Row], now: float) -> Iterator[str]:
    yield from (f"  {line}" for line in _stands(rows))
    for row in rows:
        yield f"  {row.kind:7} {_what(row)}  (for {_age(now - row.since)})"
        yield from (f"          {line}" for line in _why(row))


def markdown(rows: Sequence[Row], *, now: float) -> str:
    """A report: a heading a node, a list of what stands there."""
    head = f"# Drift at {_when(now)}\n"
    if not rows:
        return f"{head}\nNothing differs from what is declared.\n"
    parts = [head]
    for node, found in _by_node(rows):
        parts.append(f"\n## {_escaped(node)}\n\n")
        parts += [f"{_escaped(line)}\n\n" for line in _stands(found)]
        for row in found:
            parts.append(f"- **{row.kind}** {_escaped(_what(row))}, since {_when(row.since)}\n")
            parts += [f"  - {_escaped(line)}\n" for line in _why(row)]
    return "".join(parts)


def _by_node(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    ordered = sorted(rows, key=lambda row: (row.node, row.kind, row.key))
    return [(node, list(found)) for node, found in itertools.groupby(ordered, key=lambda row: row.node)]


def _what(row: Row) -> str:
    detail = row.detail
    if row.kind == "finding":
        return f"[{detail.get('id', row.key)}] {detail.get('summary', row.key)}"
    desired, observed = detail.get("desired"), detail.get("observed")
    new, old = short.pair(desired, observed)
    said = f"{'nothing' if observed is None else old} instead of {'nothing' if desired is None else new}"
    return f"{row.key}: {said} ({detail.get('level')}, {detail.get('impact')})"


def _why(row: Row) -> Iterator[str]:
    for evidence in row.detail.get("evidence", ()):
        yield f"{evidence['source']}: {evidence['says']}"
    if row.detail.get("why"):
        yield str(row.detail["why"])
    if row.detail.get("remedy"):
        yield f"→ {row.detail['remedy']}"


def _age(seconds: float) -> str:
    """The largest unit only: ``3 h``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _when(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _escaped(text: str) -> str:
    """Text from nodes cannot become links, headings or HTML."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text.replace("\n", " "))
