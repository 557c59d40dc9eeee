"""Who may change which key of a VM.

Most keys need one privilege (the table in `schema`). The value decides for hostpci, usb, serial, rng, virtiofs, disks
and bridges: a real device of the host is for the root@pam login alone, not even for its tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transom.lab.pve import access, devices, drives, formats, node, replies, schema, storage


def check_keys(here: node.Node, caller: access.Caller, vmid: int, names: Iterable[str]) -> None:
    """The rights that a key needs whatever its value."""
    if caller.root:
        return
    for name in names:
        entry = schema.KEYS.get(name)
        if name == "cdrom" or (entry and entry.by_value):
            continue
        if entry is None or not entry.privileges:
            replies.die(f"only root can set '{name}' config")
        here.access.check_vm(caller, vmid, *entry.privileges, any_of=entry.any_of)
        if name == "startup":
            here.access.check(caller, "/", "Sys.Modify")


def parsed(name: str, value: str) -> dict[str, str]:
    """A property string that was checked before; what does not parse has no properties."""
    try:
        return formats.parse_property_string(schema.KEYS[name].prop.fields or {}, value)
    except formats.FormatError:
        return {}


def check_value(here: node.Node, caller: access.Caller, vmid: int, name: str, value: str) -> None:
    """The rights that this value of a device key needs, old or new."""
    if caller.root:
        return
    if schema.of_kind(name, "hostpci"):
        check_hostpci(here, caller, vmid, name, parsed(name, value))
    elif schema.of_kind(name, "usb"):
        check_usb(here, caller, vmid, name, parsed(name, value))
    elif schema.of_kind(name, "rng"):
        here.access.check_vm(caller, vmid, schema.HARDWARE)
        if parsed(name, value).get("source") == "/dev/hwrng":
            here.access.check(caller, "/mapping/hwrng", "Mapping.Use")
    elif schema.of_kind(name, "virtiofs"):
        here.access.check_vm(caller, vmid, schema.DISK)
        here.access.check(caller, f"/mapping/dir/{parsed(name, value).get('dirid', '')}", "Mapping.Use")
    elif schema.of_kind(name, "net"):
        check_bridge(here, caller, value)
    elif drives.is_drive(name):
        check_drive(here, caller, vmid, name, value)


def check_hostpci(here: node.Node, caller: access.Caller, vmid: int, name: str, value: dict[str, str]) -> None:
    if value.get("host"):
        replies.die(f"only root can set '{name}' config for non-mapped devices")
    if not value.get("mapping"):
        replies.die("either 'host' or 'mapping' must be set.")
    here.access.check(caller, f"/mapping/pci/{value['mapping']}", "Mapping.Use")
    here.access.check_vm(caller, vmid, schema.HARDWARE)
    if "romfile" in value:
        replies.bad_parameters({name: "only root@pam can set 'romfile' option"})


def check_usb(here: node.Node, caller: access.Caller, vmid: int, name: str, value: dict[str, str]) -> None:
    here.access.check_vm(caller, vmid, schema.HARDWARE)
    if value.get("host"):
        if value["host"].lower() != "spice":
            replies.die(f"only root can set '{name}' config for real devices")
    elif value.get("mapping"):
        here.access.check(caller, f"/mapping/usb/{value['mapping']}", "Mapping.Use")
    else:
        replies.die("either 'host' or 'mapping' must be set.")


def check_serial(
    here: node.Node, caller: access.Caller, vmid: int, name: str, values: Iterable[str], verb: str
) -> None:
    """A socket is hardware like any other; a device of the host is root's."""
    if all(value == "socket" for value in values):
        here.access.check_vm(caller, vmid, schema.HARDWARE)
    elif not caller.root:
        replies.die(f"only root can {verb} '{name}' config for real devices")


def check_drive(here: node.Node, caller: access.Caller, vmid: int, name: str, value: str) -> None:
    drive = drives.parse(name, value)
    if drive and drive.new_cloudinit:
        here.access.check_vm(caller, vmid, "VM.Config.Cloudinit", "VM.Config.CDROM")
    elif drive and drive.cdrom:
        here.access.check_vm(caller, vmid, "VM.Config.CDROM")
    else:
        here.access.check_vm(caller, vmid, schema.DISK)


def check_bridge(here: node.Node, caller: access.Caller, value: str) -> None:
    if caller.root:
        return
    net = formats.parse_property_string(devices.NET, value) if value.strip() else {}
    if bridge := net.get("bridge"):
        where = f"/sdn/zones/localnetwork/{bridge}"
        here.access.check(caller, f"{where}/{net['tag']}" if net.get("tag") else where, "SDN.Use")


def check_storage(here: node.Node, caller: access.Caller, vmid: int, params: Mapping[str, str]) -> None:
    """The rights on the storages of all drives among the parameters, and that those storages exist."""
    for name in sorted(params):
        drive = drives.parse(name, params[name]) if drives.is_drive(name) else None
        if not drive or drive.file == "none" or drive.new_cloudinit:
            continue
        if drive.file == "cdrom":
            here.access.check(caller, "/", "Sys.Console")
        elif drive.new_size:
            if not drive.new_size[0]:
                replies.die("no storage ID specified (and no default storage)")
            here.access.check(caller, f"/storage/{drive.new_size[0]}", "Datastore.AllocateSpace")
            if "images" not in storage.get(here, drive.new_size[0]).content.split(","):
                replies.bad_parameters({"storage": f"storage '{drive.new_size[0]}' does not support vm images"})
        else:
            storage.check_use(here, caller, vmid, drive.file)
            if drive.storage and storage.parse(here, drive.file).kind not in ("images", "iso"):
                replies.bad_parameters({name: "content type needs to be 'images' or 'iso'"})
    for name in sorted(params):
        if schema.of_kind(name, "unused"):
            check_unused(here, caller, vmid, name, params[name])
    if "vmstatestorage" in params:
        here.access.check(caller, f"/storage/{params['vmstatestorage']}", "Datastore.AllocateSpace")


def check_unused(here: node.Node, caller: access.Caller, vmid: int, name: str, value: str) -> None:
    drive = drives.parse(name, value)
    if drive is None:
        replies.bad_parameters({name: f"failed to parse value '{value}'"})
    if storage.parse(here, drive.file).kind != "images":
        replies.die(f"unable to use volume {drive.file} - content type needs to be 'images'")
    storage.check_use(here, caller, vmid, drive.file)


def check_all_new(here: node.Node, caller: access.Caller, vmid: int, params: Mapping[str, str]) -> None:
    """All rights that creating a VM with these keys needs, in PVE's order."""
    check_storage(here, caller, vmid, params)
    check_keys(here, caller, vmid, sorted(params))
    if caller.root:
        return
    for kind in ("serial", "usb", "hostpci", "rng", "virtiofs", "net"):
        for name in sorted(params):
            if not schema.of_kind(name, kind):
                continue
            if kind == "serial":
                check_serial(here, caller, vmid, name, [params[name]], "set")
            else:
                check_value(here, caller, vmid, name, params[name])
