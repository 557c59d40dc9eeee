"""Cloud-init drives of VMs: asking for one, and which keys changed since the image was made.

`STORAGE:cloudinit` asks for a drive; `vm-VMID-cloudinit` is its image. What a live change did to the image's keys is
recorded in the section `[special:cloudinit]`: the old values, and under `added` the names that are new. A generated
image (at the start, or as the drive comes) ends the record.
"""

from __future__ import annotations

from typing import Final

from transom.lab.pve import conf, drives, replies, scalars, schema

KEYS: Final = ("cicustom", "cipassword", "citype", "ciuser", "ciupgrade", "nameserver", "searchdomain", "sshkeys")
SECTION: Final = "cloudinit"
STARS: Final = "**********"


def drive_of(section: conf.Section, but: str = "") -> str:
    """The key of the cloud-init drive, '' when there is none; `but` is not looked at."""
    for name in drives.ORDER:
        drive = drives.parse(name, str(section[name])) if name in section and name != but else None
        if drive and drive.cloudinit:
            return name
    return ""


def refuse_second(name: str, drive: drives.Drive, *sections: conf.Section) -> None:
    if drive.new_cloudinit and (other := next(filter(None, (drive_of(one, name) for one in sections)), "")):
        replies.die(f"{name} - cloud-init drive is already attached at '{other}'")


def concerns(name: str) -> bool:
    """Does the image depend on this key?"""
    return name in (*KEYS, "name") or schema.of_kind(name, "ipconfig") or schema.of_kind(name, "net")


def record(current: conf.Conf, name: str, new: str | int | None) -> None:
    """`name` is about to get its new value live (None: to go)."""
    if not concerns(name):
        return
    section = current.special.setdefault(SECTION, {})
    added = set(scalars.split_list(str(section.pop("added", "") or "")))
    old = current.main.get(name)
    if name in section:
        if new is not None and str(new) == str(section[name]):
            del section[name]
            added.discard(name)
    elif name in added:
        if new is None:
            added.discard(name)
    elif old is not None:
        section[name] = old
    elif new is not None:
        added.add(name)
    if added:
        section["added"] = ",".join(sorted(added))


def rows(current: conf.Conf) -> list[dict[str, object]]:
    """What the image holds and what it would hold if it were made now."""
    section = dict(current.special.get(SECTION, {}))
    main = {**current.main, **({"cipassword": STARS} if "cipassword" in current.main else {})}
    if "cipassword" in section:
        section["cipassword"] = STARS
    added = str(section.pop("added", "") or "")
    found: list[dict[str, object]] = [{"key": name, "pending": main.get(name)} for name in scalars.split_list(added)]
    for name in KEYS:
        if main.get(name) in (None, "", "0", 0) or name in added:
            continue
        if section.get(name) in (None, "", "0", 0):
            found.append({"key": name, "value": main[name]})
        else:
            found.append({"key": name, "value": section[name], "pending": main[name]})
    gone = [name for name in section if main.get(name) in (None, "", "0", 0)]
    return found + [{"key": name, "delete": 1} for name in gone]
