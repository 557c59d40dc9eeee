"""``qemu-server/N.conf`` as text: parsed as qemu-server parses it, rendered as qemu-server writes it.

Values stay PVE's own text. Lines that qemu-server cannot parse are kept aside in ``unparsed``: it drops them at its next write,
and so does ``render``. Source of the rules: qemu-server 9.2.6, ``parse_vm_config`` and ``write_vm_config``.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Iterable, Mapping

_PENDING = re.compile(r"\[PENDING\]\s*", re.IGNORECASE | re.ASCII)
_SPECIAL = re.compile(r"\[(special:(?:cloudinit|fleecing))\]\s*", re.IGNORECASE | re.ASCII)
_SNAPSHOT = re.compile(r"\[([a-z][a-z0-9_-]+)\]\s*", re.IGNORECASE | re.ASCII)
_HEADER = re.compile(r"\[[^\]]*\]\s*", re.ASCII)
_ARGS = re.compile(r"(args|delete):\s*(.*\S)\s*", re.ASCII)
_LINE = re.compile(r"([a-z][a-z_-]*\d*):\s*(.+?)\s*", re.ASCII)
_NAMES = {"cdrom": "ide2"}  # the old name of the CD-ROM drive, renamed on reading


@dataclasses.dataclass(frozen=True)
class Unparsed:
    """A line that qemu-server skips with a warning. ``number`` is 1-based."""

    number: int
    text: str


@dataclasses.dataclass(frozen=True)
class Section:
    """One bracketed section, or the main one (``name`` empty). ``description`` is empty when there is none."""

    name: str
    values: Mapping[str, str]
    description: str = ""


@dataclasses.dataclass(frozen=True)
class GuestConf:
    """One VM configuration. ``main`` and ``pending`` hold neither the description nor the list of pending deletions.

    They hold values as the file has them; ``current`` and ``persisted`` give them as the API does (an empty one is a blank there).
    """

    main: Mapping[str, str]
    pending: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pending_delete: frozenset[str] = frozenset()
    """Keys that go at the next restart, the forced ones included."""
    pending_forced: frozenset[str] = frozenset()
    """Those of ``pending_delete`` that are written ``!key``."""
    snapshots: tuple[str, ...] = ()
    description: str = ""
    pending_description: str | None = None
    has_pending: bool = False
    """The section is there, even when it holds nothing (PVE leaves an empty one behind)."""
    others: tuple[Section, ...] = ()
    """Snapshots and special sections, in the order of the file."""
    unparsed: tuple[Unparsed, ...] = ()

    def current(self) -> dict[str, str]:
        """What the running VM was configured with, ``description`` included."""
        return _with_description(self.main, self.description)

    def persisted(self) -> dict[str, str]:
        """What runs after the next restart: the main section with the pending changes laid over it."""
        text = self.description if self.pending_description is None else self.pending_description
        kept = {key: value for key, value in self.main.items() if key not in self.pending_delete}
        merged = _with_description({**kept, **self.pending}, "" if "description" in self.pending_delete else text)
        return dict(sorted(merged.items()))


def _with_description(values: Mapping[str, str], description: str) -> dict[str, str]:
    full = {key: value or " " for key, value in values.items()}
    return {**full, "description": description} if description else full


def parse(text: str) -> GuestConf:
    """The configuration that ``text`` holds. Never fails: what qemu-server would skip ends up in ``unparsed``."""
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        reader.line(number, line)
    reader.end_section()
    return reader.result()


def render(conf: GuestConf) -> str:
    """The file as qemu-server writes it: description first, keys sorted, ``[PENDING]``, special sections, snapshots."""
    parts = _comments(conf.description), _values(conf.main)
    text = "".join(parts)
    if conf.has_pending or conf.pending or conf.pending_delete or conf.pending_description is not None:
        text += "\n[PENDING]\n" + _pending(conf)
    ordered = sorted(conf.others, key=lambda section: (not section.name.startswith("special:"), section.name))
    for section in ordered:
        text += f"\n[{section.name}]\n{_comments(section.description)}{_values(section.values)}"
    return text


def encode(text: str) -> str:
    """A description line as PVE stores it: control characters, ``%``, ``:`` and all beyond ASCII as ``%XX`` of their UTF-8."""
    return "".join(f"%{byte:02X}" if _unsafe(byte) else chr(byte) for byte in text.encode())


def decode(text: str) -> str:
    """The inverse of ``encode``; bytes that are not UTF-8 become U+FFFD."""
    return urllib.parse.unquote(text, errors="replace")


def _unsafe(byte: int) -> bool:
    return byte < 0x20 or byte > 0x7E or byte in (0x25, 0x3A)


def _comments(description: str) -> str:
    return "".join(f"#{encode(line)}\n" for line in description.rstrip("\n").split("\n")) if description else ""


def _values(values: Mapping[str, str]) -> str:
    return "".join(f"{key}: {values[key]}\n" for key in sorted(values))


def _pending(conf: GuestConf) -> str:
    values = dict(conf.pending)
    if conf.pending_delete:
        marked = (f"!{key}" if key in conf.pending_forced else key for key in sorted(conf.pending_delete))
        values["delete"] = ",".join(marked)
    # An emptied description is one bare "#": PVE tells "set to nothing" from "not changed" by it.
    comments = "#\n" if conf.pending_description == "" else _comments(conf.pending_description or "")
    return comments + _values(values)


class _Reader:
    """Goes through the lines and closes one section after the other."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.commented: set[str] = set()
        self.unparsed: list[Unparsed] = []
        self.name = ""
        self.skipping = False
        self.values: dict[str, str] = {}
        self.description: str | None = None

    def line(self, number: int, line: str) -> None:
        if not line.strip():
            return
        name = _section_name(line)
        if name is not None:
            self.end_section()
            self.name, self.skipping = name, False
        elif _HEADER.fullmatch(line):
            self.end_section()
            self.skipping = True
            self.unparsed.append(Unparsed(number, line))
        elif self.skipping or not self.content(line):
            self.unparsed.append(Unparsed(number, line))

    def content(self, line: str) -> bool:
        """Takes one line of a section; False when qemu-server would skip it."""
        if line.startswith("#"):
            self.description = (self.description or "") + decode(line[1:]) + "\n"
            return True
        match = _ARGS.fullmatch(line) or _LINE.fullmatch(line)
        if match is None or (match[1] == "delete" and self.name != "PENDING"):
            return False
        if match[1] == "description":
            self.description = (self.description or "") + decode(match[2])
        else:
            # A created VM has "boot: " with nothing behind it: read as one blank, and written with one more at the next write.
            self.values[_NAMES.get(match[1], match[1])] = "" if line == f"{match[1]}: " else match[2]
        return True

    def end_section(self) -> None:
        if not self.skipping:
            if self.description is not None:
                self.commented.add(self.name)
            self.sections.append(Section(self.name, self.values, (self.description or "").rstrip()))
        self.values, self.description = {}, None

    def result(self) -> GuestConf:
        # A section given twice: qemu-server keeps the later one.
        by_name = {section.name: section for section in self.sections}
        main, pending = by_name.pop(""), by_name.pop("PENDING", None)
        values = dict(pending.values) if pending else {}
        delete, forced = _deletions(values.pop("delete", ""))
        return GuestConf(
            main=main.values,
            pending=values,
            pending_delete=delete,
            pending_forced=forced,
            snapshots=tuple(name for name in by_name if not name.startswith("special:")),
            description=main.description,
            pending_description=pending.description if pending and "PENDING" in self.commented else None,
            has_pending=pending is not None,
            others=tuple(by_name.values()),
            unparsed=tuple(self.unparsed),
        )


def _section_name(line: str) -> str | None:
    if _PENDING.fullmatch(line):
        return "PENDING"
    match = _SPECIAL.fullmatch(line) or _SNAPSHOT.fullmatch(line)
    return match[1] if match else None


def _deletions(text: str) -> tuple[frozenset[str], frozenset[str]]:
    entries: Iterable[str] = re.split(r"[,;\s]+", text.strip(), flags=re.ASCII) if text.strip() else ()
    forced = frozenset(entry[1:] for entry in entries if entry.startswith("!"))
    return frozenset(entry.lstrip("!") for entry in entries), forced
