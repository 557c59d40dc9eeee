"""Applying pending changes: all of them to a stopped VM, to a running one those that PVE can make live."""

from __future__ import annotations

from transom.lab.pve import (
    cloudinit,
    conf,
    devices,
    drives,
    formats,
    mapping,
    node,
    replies,
    runstate,
    scalars,
    schema,
    storage,
)

Errors = dict[str, str]
BRIDGE_SCRIPT = "network script /usr/libexec/qemu-server/pve-bridge-hotplug failed with status 256"


class Skip(Exception):
    """The key cannot change live: it stays pending."""


class Failed(Exception):
    """PVE tried and QEMU refused; the text is what PVE shows."""


def apply_pending(here: node.Node, vmid: int, current: conf.Conf) -> Errors:
    """Cold: everything pending becomes current. Returns errors by key (none in the lab)."""
    if not current.pending:
        return {}
    for name, force in current.pending_deletes().items():
        if name in current.main and drives.is_drive(name):
            detach(here, vmid, current, name, force)
        current.main.pop(name, None)
        current.keep(name)
    current.cleanup_pending()
    for name in [name for name in current.pending if name != "delete"]:
        if drives.is_drive(name) and name in current.main:
            keep_as_unused(here, vmid, current, name, current.text(name))
        current.main[name] = current.pending.pop(name)
    forget_reused(current)
    here.save(vmid, current)
    return {}


def plug(here: node.Node, vmid: int, current: conf.Conf, running: runstate.Running, chosen: set[str]) -> Errors:
    """Live: what changes at once is applied, the rest stays pending, a refusal is told by key."""
    errors: Errors = {}
    for name in [name for name in current.pending if name in schema.KEYS and schema.KEYS[name].live]:
        cloudinit.record(current, name, current.pending[name])
        current.main[name] = current.pending.pop(name)
    for name, force in current.pending_deletes().items():
        if name not in chosen:
            continue
        try:
            unplug_one(here, vmid, current, running, name, force)
        except Skip:
            continue
        cloudinit.record(current, name, None)
        current.main.pop(name, None)
        current.keep(name)
    for name in [name for name in current.pending if name != "delete" and name in chosen]:
        try:
            plug_one(here, vmid, current, running, name)
        except Skip:
            continue
        except Failed as error:
            errors[name] = f"hotplug problem - {error}\n"
            continue
        if drives.is_drive(name) and name in current.main:
            keep_as_unused(here, vmid, current, name, current.text(name))
        cloudinit.record(current, name, current.pending[name])
        current.main[name] = current.pending.pop(name)
    forget_reused(current)
    if "cloudinit" in features(current):  # the image is made anew at once
        current.special.pop(cloudinit.SECTION, None)
    here.save(vmid, current)
    return errors


def features(current: conf.Conf) -> set[str]:
    value = current.text("hotplug") or "1"
    return {"network", "disk", "usb"} if value == "1" else set() if value == "0" else set(scalars.split_list(value))


def version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    return int(major), int(rest.split(".")[0] or 0)


def usb_live(current: conf.Conf, running: runstate.Running) -> bool:
    """USB changes live with the xHCI controller only: machine 7.1 or later, and an OS known to drive it."""
    modern = current.text("ostype") in ("l26", "win8", "win10", "win11")
    return "usb" in features(current) and version(running.machine) >= (7, 1) and modern


def need(condition: bool) -> None:
    if not condition:
        raise Skip


def unplug_one(
    here: node.Node, vmid: int, current: conf.Conf, running: runstate.Running, name: str, force: bool
) -> None:
    if name in schema.KEYS and schema.KEYS[name].live:
        return
    if name == "hotplug":
        need(not {"cpu", "memory"} & features(current))
    elif name == "tablet":
        need("usb" in features(current))
    elif schema.of_kind(name, "usb"):
        need(usb_live(current, running))
    elif name == "vcpus":
        need("cpu" in features(current))
    elif name == "balloon":
        need(current.main.get("balloon") != 0)
    elif schema.of_kind(name, "net"):
        need("network" in features(current))
    elif drives.is_drive(name):
        need("disk" in features(current) and name.startswith(("scsi", "virtio")))
        detach(here, vmid, current, name, force)
    elif name == "memory":
        need("memory" in features(current))
    else:
        need(name in ("cpuunits", "cpulimit"))


def plug_one(here: node.Node, vmid: int, current: conf.Conf, running: runstate.Running, name: str) -> None:
    value = str(current.pending[name])
    if name == "hotplug":
        need(not {"cpu", "memory"} & (set(scalars.split_list(value)) | features(current)))
    elif name == "tablet":
        need("usb" in features(current))
    elif schema.of_kind(name, "usb"):
        need(usb_live(current, running))
        plug_usb(here, name, value)
    elif name == "vcpus":
        need("cpu" in features(current))
    elif name == "balloon":
        need((current.main.get("balloon") != 0) == (value != "0"))
    elif schema.of_kind(name, "net"):
        plug_net(here, vmid, current, name, value)
    elif drives.is_drive(name):
        plug_drive(current, name, value)
    elif name == "memory":
        need("memory" in features(current))
    else:
        need(name in ("cpuunits", "cpulimit") or (name == "agent" and agent_stays(current, value)))


def agent_stays(current: conf.Conf, value: str) -> bool:
    """Only `fstrim_cloned_disks` of a configured agent changes live."""

    def device(text: str) -> dict[str, str]:
        parts = formats.parse_property_string(devices.AGENT, text) if text.strip() else {}
        return {key: one for key, one in parts.items() if key != "fstrim_cloned_disks"} \
            if parts.get("enabled") == "1" else {}  # fmt: skip

    return bool(current.text("agent")) and device(current.text("agent")) == device(value)


def plug_usb(here: node.Node, name: str, value: str) -> None:
    """A mapping is looked up again when the device is plugged."""
    mapped = formats.parse_property_string(schema.KEYS[name].prop.fields or {}, value).get("mapping")
    try:
        if mapped:
            mapping.usb_host(here, mapped)
    except replies.Refused as error:
        raise Failed(error.text.rstrip("\n")) from error


def plug_net(here: node.Node, vmid: int, current: conf.Conf, name: str, value: str) -> None:
    """A changed card is unplugged and plugged again; only link, rate, firewall and VLAN change in place."""
    new = formats.parse_property_string(devices.NET, value)
    old = formats.parse_property_string(devices.NET, current.text(name)) if current.text(name) else {}
    same = old and all(old.get(key) == new.get(key) for key in ("model", "macaddr", "queues", "mtu"))
    need(bool(same) or "network" in features(current))
    if new.get("bridge") and new["bridge"] not in here.world.bridges and (not same or old["bridge"] != new["bridge"]):
        raise Failed(f"VM {vmid} qmp command 'netdev_add' failed - {BRIDGE_SCRIPT}")


def plug_drive(current: conf.Conf, name: str, value: str) -> None:
    """A CD-ROM's medium always changes live, a disk of a hot-pluggable bus when `disk` may."""
    need(name not in ("efidisk0", "tpmstate0"))
    new, old = drives.parse(name, value), drives.parse(name, current.text(name)) if current.text(name) else None
    if new and old and new.cdrom != old.cdrom:
        raise Failed("unable to change media type")
    if new and old and new.cdrom:
        return
    need("disk" in features(current) and name.startswith(("scsi", "virtio")))
    if new and not old and new.file in ("none", "cdrom"):  # PVE activates a new drive's volume, and this is none
        raise Failed(f"unable to parse volume ID '{new.file}'")


def volume_of(name: str, value: str) -> str:
    """The managed disk image of a drive, '' for CD-ROMs, paths and nothing."""
    drive = drives.parse(name, value)
    return drive.file if drive and not drive.cdrom and drive.storage else ""


def keep_as_unused(here: node.Node, vmid: int, current: conf.Conf, name: str, value: str) -> None:
    """A disk that leaves its place stays listed, so that it is never lost."""
    drive = drives.parse(name, value)
    if drive and drive.cloudinit:  # never kept: it can be made again
        storage.free(here, drive.file)
        current.special.pop(cloudinit.SECTION, None)
        return
    volid = volume_of(name, value)
    if not volid or storage.parse(here, volid).owner != vmid:
        return
    if any(volume_of(other, str(one)) == volid for other, one in current.main.items()
           if drives.is_drive(other) and other != name):  # fmt: skip
        return
    if any(current.main[other] == volid for other in current.main if other.startswith("unused")):
        return
    current.main[next(key for index in range(256) if (key := f"unused{index}") not in current.main)] = volid


def detach(here: node.Node, vmid: int, current: conf.Conf, name: str, force: bool) -> None:
    """Forced: the image is removed; otherwise it becomes `unusedN`."""
    value = str(current.main.pop(name))
    if force and (volid := volume_of(name, value)):
        storage.free(here, volid)
    else:
        keep_as_unused(here, vmid, current, name, value)


def forget_reused(current: conf.Conf) -> None:
    """An `unusedN` whose volume is attached again goes."""
    used = {volume_of(name, str(value)) for name, value in current.main.items() if drives.is_drive(name)}
    for name in [name for name in current.main if name.startswith("unused") and current.main[name] in used]:
        del current.main[name]
