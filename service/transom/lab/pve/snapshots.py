"""Snapshots: sections of the configuration file. A rollback brings back what stood there, `args` too, whoever asks."""

from __future__ import annotations

import time

from transom.lab.pve import agent, change, conf, drives, node, prepare, replies, runstate, storage
from transom.lab.pve.tasks import Log

NOT_SAVED = ("lock", "parent", "snaptime", "vmstate", "snapstate", "template", "digest")


def create(here: node.Node, vmid: int, name: str, description: str, log: Log, *, with_memory: bool = False) -> None:
    """The task `qmsnapshot`; with the memory nothing has to be frozen."""
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if current.main.get("template"):
            replies.die("you can't take a snapshot if it's a template")
        change.check_lock(current)
        if name in current.snapshots:
            replies.die(f"snapshot name '{name}' already used")
        if any(raw_file(here, key, value) for key, value in current.main.items() if drives.is_drive(key)):
            replies.die("snapshot feature is not available")
        live = runstate.read(here.place, vmid) and not with_memory
        if live and (why := agent.why_not_frozen(here, vmid)):
            log(f"skipping guest filesystem freeze - {why}")
        section = {key: value for key, value in current.main.items()
                   if key not in NOT_SAVED and not key.startswith("unused")}  # fmt: skip
        if parent := current.main.get("parent"):
            section["parent"] = parent
        section["snaptime"] = int(time.time())
        section.pop("description", None)
        if description:
            section["description"] = description
        current.snapshots[name] = section
        current.main["parent"] = name
        here.save(vmid, current)


def raw_file(here: node.Node, key: str, value: object) -> bool:
    """A raw image in a directory cannot be snapshotted."""
    drive = drives.parse(key, str(value))
    if drive is None or drive.cdrom or not drive.storage:
        return False
    volume = storage.parse(here, drive.file)
    return bool(volume.storage.path) and volume.format == "raw"


def rollback(here: node.Node, vmid: int, name: str, log: Log) -> None:
    """The task `qmrollback`; a running VM is stopped."""
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if current.main.get("template"):
            replies.die("you can't rollback if vm is a template")
        source = need(current, name)
        change.check_lock(current)
        runstate.remove(here.place, vmid)
        current.pending = {}
        kept = {key: value for key, value in current.main.items() if key.startswith("unused") or key == "description"}
        main = {key: value for key, value in source.items() if key not in ("snaptime", "description", "vmstate")}
        current.main = {**kept, **main, "parent": name}
        if "vmgenid" in current.main:
            current.main["vmgenid"] = prepare.new_uuid()
        here.save(vmid, current)


def delete(here: node.Node, vmid: int, name: str, log: Log) -> None:
    """The task `qmdelsnapshot`: its children hang themselves under its parent."""
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        source = need(current, name)
        change.check_lock(current)
        del current.snapshots[name]
        for section in (current.main, *current.snapshots.values()):
            if section.get("parent") == name:
                section.pop("parent")
                if parent := source.get("parent"):
                    section["parent"] = parent
        here.save(vmid, current)


def need(current: conf.Conf, name: str) -> conf.Section:
    section = current.snapshots.get(name)
    if section is None:
        replies.die(f"snapshot '{name}' does not exist")
    return section


def rows(current: conf.Conf, running: bool) -> list[dict[str, object]]:
    """The list of the API, `current` included."""
    found: list[dict[str, object]] = []
    for name, section in current.snapshots.items():
        row: dict[str, object] = {"name": name, "description": section.get("description") or "",
                                  "snaptime": section.get("snaptime") or 0,
                                  "vmstate": int("vmstate" in section)}  # fmt: skip
        if parent := section.get("parent"):
            row["parent"] = parent
        found.append(row)
    now: dict[str, object] = {"name": "current", "digest": current.digest, "running": int(running),
                              "description": "You are here!"}  # fmt: skip
    if parent := current.main.get("parent"):
        now["parent"] = parent
    return [*found, now]
