"""A VM's configuration file: text → `Conf` → text, with the habits of the real parser.

Lines that cannot be read are dropped without a word, values of unknown shape too, and writing sorts the keys of every
section: main, [PENDING], then the snapshots. The digest is the SHA-1 of the raw bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from transom.lab.pve import drives, replies, scalars, schema

Section = dict[str, "str | int | None"]


@dataclass
class Conf:
    """Mutable on purpose: one copy lives for one locked change."""

    main: Section = field(default_factory=dict)
    pending: Section = field(default_factory=dict)
    snapshots: dict[str, Section] = field(default_factory=dict)
    special: dict[str, Section] = field(default_factory=dict)
    digest: str = ""

    def pending_deletes(self) -> dict[str, bool]:
        """{key: forced}."""
        words = scalars.split_list(str(self.pending.get("delete", "")))
        return {word.lstrip("!"): word.startswith("!") for word in words}

    def set_pending_deletes(self, keys: dict[str, bool]) -> None:
        self.pending.pop("delete", None)
        if keys:
            self.pending["delete"] = ",".join(("!" if keys[name] else "") + name for name in sorted(keys))

    def delete_later(self, name: str, force: bool = False) -> None:
        self.set_pending_deletes({**self.pending_deletes(), name: force})

    def keep(self, name: str) -> None:
        deletes = self.pending_deletes()
        if deletes.pop(name, None) is not None:
            self.set_pending_deletes(deletes)

    def cleanup_pending(self) -> bool:
        """Drops pending values that equal the current ones, and deletes of what is not there."""
        same = [name for name, value in self.pending.items()
                if name != "delete" and name in self.main and str(self.main[name]) == str(value)]  # fmt: skip
        deletes = self.pending_deletes()
        gone = [name for name in deletes if name not in self.main]
        for name in same:
            del self.pending[name]
        if gone:
            self.set_pending_deletes({name: force for name, force in deletes.items() if name in self.main})
        return bool(same or gone)

    def text(self, name: str) -> str:
        """The current value as text, '' when unset."""
        value = self.main.get(name)
        return "" if value is None else str(value)


def parse(raw: bytes) -> Conf:
    conf = Conf(digest=hashlib.sha1(raw).hexdigest())
    section: Section | None = conf.main
    kind = "main"
    for line in raw.decode("utf-8", "replace").split("\n"):
        if not line.strip():
            continue
        if head := re.fullmatch(r"\[([^\]]*)\]\s*", line):
            kind, section = open_section(conf, head[1])
        elif section is not None:
            parse_line(section, kind, line)
    for part in (conf.main, conf.pending, *conf.snapshots.values()):
        if isinstance(part.get("description"), str):
            part["description"] = str(part["description"]).rstrip()
    return conf


def open_section(conf: Conf, name: str) -> tuple[str, Section | None]:
    if name.lower() == "pending":
        conf.pending = {}
        return "pending", conf.pending
    if found := re.fullmatch(r"special:(cloudinit|fleecing)", name, re.I):
        return "special", conf.special.setdefault(found[1], {})
    if re.fullmatch(r"[a-z][a-z0-9_\-]+", name, re.I):
        return "snapshot", conf.snapshots.setdefault(name, {})
    return "unknown", None


def parse_line(section: Section, kind: str, line: str) -> None:
    if line.startswith("#"):
        section["description"] = f"{section.get('description') or ''}{unquote(line[1:])}\n"
    elif found := re.fullmatch(r"description:\s*(.*\S)\s*", line):
        section["description"] = f"{section.get('description') or ''}{unquote(found[1])}"
    elif found := re.search(r"snapstate:\s*(prepare|delete)\s*$", line):
        section["snapstate"] = found[1]
    elif found := re.fullmatch(r"args:\s*(.*\S)\s*", line):
        section["args"] = found[1]
    elif found := re.fullmatch(r"delete:\s*(.*\S)\s*", line):
        if kind == "pending":
            section["delete"] = found[1]
    elif found := re.fullmatch(r"([a-z][a-z_\-]*\d*):\s*(.+?)\s*", line):
        keep_value(section, kind, found[1], found[2])


def keep_value(section: Section, kind: str, name: str, value: str) -> None:
    if kind == "special":
        section[name] = value
        return
    name = "ide2" if name == "cdrom" else name
    try:
        stored = schema.stored(name, value)
    except ValueError:
        return  # as qemu-server: a warning in the log, and the line is gone at the next write
    if re.match(r"ide|sata|scsi\d|virtio\d", name):
        drive = drives.parse(name, value)
        if drive is None:
            return
        stored = drives.render(drive)
    section[name] = stored


def render(conf: Conf) -> bytes:
    """The file's bytes; 500 for a value that could not be read back."""
    smp = conf.main.pop("smp", None)  # the old name of `sockets`
    if smp and not conf.main.get("sockets"):
        conf.main.pop("cores", None)
        conf.main["sockets"] = smp
    for section in (conf.main, conf.pending, *conf.snapshots.values()):
        clean(section)
    out = render_section(conf.main)
    if conf.pending:
        out += "\n[PENDING]\n" + render_section(conf.pending, pending=True)
    for name in sorted(conf.special):
        if name == "cloudinit" and not has_cloudinit(conf.main):
            continue
        out += f"\n[special:{name}]\n" + render_section(conf.special[name])
    for name in sorted(conf.snapshots):
        out += f"\n[{name}]\n" + render_section(conf.snapshots[name])
    return out.encode()


def has_cloudinit(main: Section) -> bool:
    return any(
        drives.is_drive(name) and drives.CLOUDINIT.search(str(value).split(",")[0]) for name, value in main.items()
    )


def clean(section: Section) -> None:
    for name, value in section.items():
        if name in ("description", "delete", "snapstate"):
            continue
        if value is None:
            replies.die(f"unable to parse value of '{name}' - got undefined value")
        try:
            section[name] = schema.stored(name, str(value))
        except ValueError as error:
            replies.die(f"unable to parse value of '{name}' - {str(error).rstrip()}")


def render_section(section: Section, pending: bool = False) -> str:
    description = section.get("description")
    lines = [f"#{encode_text(line)}\n" for line in str(description).split("\n")] if description else []
    if description == "" and pending:
        lines.append("#\n")
    lines += [f"{name}: {section[name]}\n" for name in sorted(section) if name != "description"]
    return "".join(lines)


def encode_text(line: str) -> str:
    """Control and high-bit bytes, percent and colon become %XX."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b"%:" else f"%{byte:02X}" for byte in line.encode())
