"""Whose VM it is: our mark, a tag and one line of the description, and PVE's own generation id.

A mark can be copied with a clone: it is proof only together with what was stored when it was made: vmgenid and SMBIOS UUID. A
clone gets both anew, a rollback and a restore only the first.
"""

from __future__ import annotations

import dataclasses
import re

from transom.guest import conf

TAG = "transom"
_UUID = re.compile(r"(?:^|,)uuid=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:,|$)", re.IGNORECASE)
_LINE = re.compile(r"transom: (\S+)(?: (\S+))?")


@dataclasses.dataclass(frozen=True)
class Mark:
    """The description's line: ``transom: <document name> <fleet or node id>``. ``home`` is empty when the line has none."""

    name: str
    home: str = ""


def mark(description: str, name: str, home: str = "", *, tagged: bool = True) -> str:
    """``description`` with the mark as its last paragraph, in place of one that ends it. ValueError when a part has blanks.

    ``tagged``: the VM carries our tag, so that a line that looks like a mark is one; else only one with this name is, and any other
    a person's note.
    """
    line = f"transom: {name} {home}".rstrip()
    if not _LINE.fullmatch(line):
        raise ValueError(f"{line!r} is not a mark: neither the name nor the id may be empty or have blanks")
    text = unmark(description) if tagged or _last(description) == name else description.rstrip()
    return f"{text}\n\n{line}" if text else line


def unmark(description: str) -> str:
    """``description`` without the mark that ends it, and without blank lines at its end, as PVE gives it back. What looks like a
    mark further up is a person's."""
    text = description.rstrip()
    return text if _last(text) is None else text.rpartition("\n")[0].rstrip()


def forget(description: str, name: str) -> str:
    """``description`` without the mark of this document, also where somebody has written on behind it."""
    found = ((line, _LINE.fullmatch(line.strip())) for line in description.split("\n"))
    return "\n".join(line for line, match in found if match is None or match[1] != name).rstrip()


def _last(description: str) -> str | None:
    """The name in the mark that ends ``description``; None when none does."""
    match = _LINE.fullmatch(description.rstrip().rpartition("\n")[2].strip())
    return match[1] if match else None


def read(description: str) -> Mark | None:
    """The mark in ``description``; the last one when there are several."""
    found = [match for line in description.split("\n") if (match := _LINE.fullmatch(line.strip()))]
    return Mark(found[-1][1], found[-1][2] or "") if found else None


def tags(value: str) -> tuple[str, ...]:
    """The tags of a ``tags`` value, in order; PVE takes ``;``, ``,`` and blanks between them."""
    return tuple(tag for tag in re.split(r"[;,\s]+", value) if tag)


def mark_tags(value: str) -> str:
    """``value`` with our tag, as PVE writes it: sorted, joined by ``;``."""
    return ";".join(sorted({*tags(value), TAG}))


def unmark_tags(value: str) -> str:
    """``value`` without our tag; empty when nothing is left."""
    return ";".join(tag for tag in tags(value) if tag != TAG)


def marked(guest: conf.GuestConf) -> str | None:
    """The document's name when the VM carries the tag *and* the line, pending changes included; None otherwise."""
    values = guest.persisted()
    found = read(values.get("description", ""))
    return found.name if found and TAG in tags(values.get("tags", "")) else None


def of(guest: conf.GuestConf) -> str:
    """What tells this VM from another one with its VMID: ``smbios:UUID``, else ``vmgenid:UUID``, else ``none``.

    The SMBIOS UUID comes first: PVE makes a new generation id at a rollback and a restore too, a new UUID only for another VM.
    """
    uuid, generation = smbios_uuid(guest), vmgenid(guest)
    if uuid:
        return f"smbios:{uuid}"
    return f"vmgenid:{generation}" if generation else "none"


def smbios_uuid(guest: conf.GuestConf) -> str:
    """In lower case; empty when the VM has none."""
    found = _UUID.search(guest.main.get("smbios1", ""))
    return found[1].lower() if found else ""


def known_as(guest: conf.GuestConf) -> str:
    """What the ledger keeps of a VM: ``VMGENID smbios:UUID``, or the one that there is; empty when there is neither."""
    uuid = smbios_uuid(guest)
    return " ".join(part for part in (vmgenid(guest), f"smbios:{uuid}" if uuid else "") if part)


def known(guest: conf.GuestConf, kept: str | None) -> bool:
    """Whether the VM is the one that the ledger kept ``kept`` of: the same generation, or the same UUID in a later one."""
    parts = (kept or "").split()
    uuid = smbios_uuid(guest)
    return vmgenid(guest) in parts or (uuid != "" and f"smbios:{uuid}" in parts)


def is_telling(kept: str | None) -> bool:
    """Whether ``known`` can tell a reused id by ``kept``: a generation alone also changes with a rollback."""
    return "smbios:" in (kept or "")


def is_it(guest: conf.GuestConf, identity: str) -> bool:
    """Whether the VM is the one of ``identity``, as ``of`` gave it."""
    kind, _, value = identity.partition(":")
    return value == vmgenid(guest) if kind == "vmgenid" else identity == of(guest)


def vmgenid(guest: conf.GuestConf) -> str:
    """The generation id in lower case; empty when the VM has none (``0`` means none too)."""
    value = guest.main.get("vmgenid", "").lower()
    return "" if value in {"0", "1"} else value
