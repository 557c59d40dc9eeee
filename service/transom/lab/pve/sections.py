"""PVE's section files (`storage.cfg`, `mapping/pci.cfg`): a header line, then tab-indented `key value` lines."""

from __future__ import annotations

from collections.abc import Mapping

Sections = dict[str, dict[str, list[str]]]


def parse(text: str) -> Sections:
    """{header: {key: values in order}}."""
    found: Sections = {}
    current: dict[str, list[str]] | None = None
    for line in text.splitlines():
        if not line.strip():
            current = None
        elif line[0] in " \t" and current is not None:
            key, _, value = line.strip().partition(" ")
            current.setdefault(key, []).append(value)
        elif line[0] not in " \t#":
            current = found.setdefault(line.strip(), {})
    return found


def render(sections: Mapping[str, Mapping[str, list[str]]]) -> str:
    parts = []
    for header in sorted(sections):
        lines = [f"\t{key} {value}" for key in sorted(sections[header]) for value in sections[header][key]]
        parts.append("\n".join([header, *lines, ""]))
    return "\n".join(parts)
