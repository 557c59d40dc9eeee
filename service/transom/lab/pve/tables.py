"""How `pvesh` prints a result: JSON, YAML, or text in a table with or without borders."""

from __future__ import annotations

import json
from collections.abc import Sequence


def as_json(data: object, pretty: bool) -> str:
    if pretty:
        return json.dumps(data, indent=3, sort_keys=True, ensure_ascii=False, separators=(",", " : "))
    return json.dumps(data, sort_keys=isinstance(data, dict), ensure_ascii=False, separators=(",", ":"))


def as_yaml(data: object) -> str:
    import yaml  # here, because only this format needs it

    return str(yaml.safe_dump(data, explicit_start=True, sort_keys=True, allow_unicode=True)).rstrip("\n")


def cell(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else str(value)


def as_text(data: object, border: bool, header: bool) -> str:
    """A dictionary as key and value, a list of dictionaries as their columns, anything else as it is."""
    if isinstance(data, dict):
        rows = [[key, cell(data[key])] for key in sorted(data)]
        return draw(["key", "value"], rows, border, header)
    if isinstance(data, list) and data and all(isinstance(one, dict) for one in data):
        columns = sorted({key for one in data for key in one})
        return draw(columns, [[cell(one.get(key)) for key in columns] for one in data], border, header)
    if isinstance(data, list):
        return "\n".join(cell(one) for one in data)
    return cell(data)


def draw(columns: Sequence[str], rows: Sequence[Sequence[str]], border: bool, header: bool) -> str:
    everything = [columns, *rows] if header or border else rows
    widths = [max(len(row[at]) for row in everything) for at in range(len(columns))]

    def plain(row: Sequence[str]) -> str:
        last = len(row) - 1
        return " ".join(text if at == last else text.ljust(widths[at]) for at, text in enumerate(row))

    def boxed(row: Sequence[str]) -> str:
        return "│ " + " │ ".join(text.ljust(widths[at]) for at, text in enumerate(row)) + " │"

    def rule(left: str, middle: str, right: str, line: str) -> str:
        return left + middle.join(line * (width + 2) for width in widths) + right

    if not border:
        return "\n".join(plain(row) for row in ([columns] if header else []) + list(rows))
    lines = [rule("┌", "┬", "┐", "─")]
    if header:
        lines += [boxed(columns), rule("╞", "╪", "╡", "═")]
    between = "\n" + rule("├", "┼", "┤", "─") + "\n"
    lines += [between.join(boxed(row) for row in rows), rule("└", "┴", "┘", "─")]
    return "\n".join(lines)
