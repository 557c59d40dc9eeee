"""Making and removing VMs: create, clone, destroy."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from transom.lab.pve import (
    access,
    change,
    cloudinit,
    conf,
    devices,
    drives,
    files,
    formats,
    node,
    permit,
    prepare,
    replies,
    runstate,
    schema,
    storage,
)
from transom.lab.pve.tasks import Log

NOT_KEYS = ("node", "vmid", "archive", "storage", "force", "unique", "live-restore", "pool", "bwlimit", "start",
            "ha-managed", "import-working-storage")  # fmt: skip


@dataclass(frozen=True)
class Create:
    """A checked request to make a VM. `params` are configuration keys only."""

    vmid: int
    params: dict[str, str]
    start: bool = False


def check(here: node.Node, caller: access.Caller, vmid: int, given: dict[str, str]) -> Create:
    """Rights and values; nothing is written but the empty, locked configuration."""
    start = given.get("start") == "1"
    if "storage" in given:
        here.access.check(caller, f"/storage/{given['storage']}", "Datastore.AllocateSpace")
    if given.get("ha-managed") == "1":
        here.access.check(caller, "/", "Sys.Console")
    if start:
        here.access.check_vm(caller, vmid, "VM.PowerMgmt")
    if not here.access.may(caller, f"/vms/{vmid}", ("VM.Allocate",)):
        replies.denied()
    if pool := given.get("pool"):  # the lab has none
        replies.denied(f"pool '{pool}' does not exist")
    if archive := given.get("archive"):
        check_archive(here, caller, vmid, archive)
    params = {name: value for name, value in given.items() if name not in NOT_KEYS}
    prepare.ssh_keys(params.get("sshkeys", ""))
    prepare.cdrom_alias(params)
    permit.check_all_new(here, caller, vmid, params)
    prepare.drive_params(here, params)
    for name in filter(lambda key: schema.of_kind(key, "net"), list(params)):
        params[name] = prepare.net(params[name])
    reserve(here, vmid, "unable to create VM")
    return Create(vmid, params, start)


def check_archive(here: node.Node, caller: access.Caller, vmid: int, archive: str) -> None:
    """The lab restores no backups: it says why there is none, or that it cannot."""
    if ":" not in archive:
        if not caller.root:
            replies.die("Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 625.")
        replies.die(f"can't find file '{archive}'")
    storage.check_use(here, caller, vmid, archive)
    storage.need_size(here, storage.parse(here, archive))
    replies.die("the lab restores no backups")


def reserve(here: node.Node, vmid: int, what: str, lock: str = "create") -> None:
    """Takes the id: an empty configuration with a lock."""
    with here.place.locked(vmid):
        if where := here.where(vmid):
            replies.die(f"{what} {vmid} - VM {vmid} already exists on node '{where}'")
        here.save(vmid, conf.Conf(main={"lock": lock}))


def create(here: node.Node, caller: access.Caller, request: Create, log: Log) -> None:
    """The task `qmcreate`. On any error the id is free again and no disk is left."""
    made: list[str] = []
    try:
        with here.place.locked(request.vmid, log):
            main = fill(here, caller, request, log, made)
            here.save(request.vmid, conf.Conf(main=main))
    except replies.Refused as error:
        for volid in made:
            storage.free(here, volid)
        files_gone(here, request.vmid)
        raise replies.Refused(error.status, f"unable to create VM {request.vmid} - {error.text}") from error


def fill(here: node.Node, caller: access.Caller, request: Create, log: Log, made: list[str]) -> conf.Section:
    main: conf.Section = dict(request.params)
    main["meta"] = f"creation-qemu={here.world.qemu},ctime={int(time.time())}"
    for name in [name for name in drives.ORDER if name in main]:
        drive = drives.parse(name, str(main[name]))
        if drive is None:
            replies.bad_parameters({name: "unable to parse drive options"})
        cloudinit.refuse_second(name, drive, main)
        lines: list[str] = []
        result = storage.create_disk(here, request.vmid, drive, lines)
        if drive.new_size or drive.new_cloudinit:
            made.append(result.file)
        for line in lines:
            log(line)
        main[name] = drives.render(result)
    if not main.get("boot"):
        main["boot"] = prepare.default_boot(main)
    main.setdefault("smbios1", f"uuid={prepare.new_uuid()}")
    if main.get("vmgenid", "1") == "1" and main.get("arch") != "aarch64":
        main["vmgenid"] = prepare.new_uuid()
    if pinned := prepare.pinned_machine(here, str(main.get("machine") or ""), str(main.get("ostype") or "")):
        main["machine"] = pinned
        log(f"pinning machine type to '{pinned.split(',')[0]}' for Windows guest OS")
    if "tags" in main:
        here.access.check_vm(caller, request.vmid, schema.OPTIONS)
        main["tags"] = schema.tags(str(main["tags"]))
    return main


def files_gone(here: node.Node, vmid: int) -> None:
    here.place.config(vmid).unlink(missing_ok=True)
    files.refresh(here.place)


# -- destroy


def check_destroy(here: node.Node, vmid: int) -> conf.Conf:
    current = here.load(vmid)
    change.check_protection(current, f"can't remove VM {vmid}")
    if runstate.read(here.place, vmid):
        replies.die(f"VM {vmid} is running - destroy failed")
    return current


def destroy(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    """The task `qmdestroy`: the VM's own disks go with it."""
    with here.place.locked(vmid, log):
        current = check_destroy(here, vmid)
        if not skiplock and current.main.get("lock") != "suspended":
            change.check_lock(current)
        for section in (current.main, *current.snapshots.values()):
            for name, value in section.items():
                if drives.is_drive(name) or name.startswith("unused"):
                    free_own(here, vmid, name, str(value), log)
        files_gone(here, vmid)


def free_own(here: node.Node, vmid: int, name: str, value: str, log: Log) -> None:
    drive = drives.parse(name, value)
    if drive is None or (drive.cdrom and not drive.cloudinit) or not drive.storage:
        return
    volume = storage.parse(here, drive.file)
    if volume.owner == vmid and storage.size_of(here, volume) is not None:
        storage.free(here, drive.file)
        if not volume.storage.path:
            log(f'  Logical volume "{volume.name}" successfully removed.')


# -- clone


@dataclass(frozen=True)
class Clone:
    vmid: int
    newid: int
    name: str = ""
    description: str = ""
    snapshot: str = ""
    pool: str = ""
    target: str = ""
    storage: str = ""
    format: str = ""
    full: bool | None = None


def check_clone(here: node.Node, caller: access.Caller, request: Clone) -> conf.Section:
    """The section to copy, after PVE's checks of mapped and real devices, storages and bridges."""
    check_places(here, request)
    current = here.load(request.vmid)
    change.check_lock(current)
    if request.snapshot and request.snapshot not in current.snapshots:
        replies.die(f"snapshot '{request.snapshot}' does not exist")
    full = not current.main.get("template") if request.full is None else request.full
    for name, value in (("storage", request.storage), ("format", request.format)):
        if value and not full:
            replies.die(f"parameter '{name}' not allowed for linked clones")
    source = current.snapshots[request.snapshot] if request.snapshot else current.main
    for name in sorted(source):
        if schema.of_kind(name, "hostpci") or schema.of_kind(name, "usb"):
            check_mapped(here, caller, name, str(source[name]))
        elif schema.of_kind(name, "net"):
            permit.check_bridge(here, caller, str(source[name]))
        elif drives.is_drive(name):
            drive = drives.parse(name, str(source[name]))
            if drive and drive.storage and not drive.cdrom:
                here.access.check(caller, f"/storage/{drive.storage}", "Datastore.AllocateSpace")
    if here.where(request.newid):
        replies.die(f"unable to create VM {request.newid}: config file already exists")
    return source


def check_places(here: node.Node, request: Clone) -> None:
    if request.pool:  # the lab has none
        replies.denied(f"pool '{request.pool}' does not exist")
    if request.target not in ("", here.name, "localhost"):
        need_member(here, request.target)
    if request.storage and "images" not in storage.get(here, request.storage).content.split(","):
        replies.bad_parameters({"storage": f"storage '{request.storage}' does not support vm images"})


def need_member(here: node.Node, name: str) -> None:
    if here.sibling(name) is None:
        replies.die(f"no such cluster node '{name}'")


def check_mapped(here: node.Node, caller: access.Caller, name: str, value: str) -> None:
    """A copy of a real device would give it away, so only root may make one."""
    if caller.root:
        return
    kind = "pci" if name.startswith("hostpci") else "usb"
    options = permit.parsed(name, value)
    if options.get("host") and options["host"].lower() != "spice":
        what = "non-mapped devices" if kind == "pci" else "real devices"
        replies.die(f"only root can set '{name}' config for {what}")
    if mapped := options.get("mapping"):
        here.access.check(caller, f"/mapping/{kind}/{mapped}", "Mapping.Use")


def clone(here: node.Node, caller: access.Caller, request: Clone, log: Log) -> None:
    """The task `qmclone`: everything is copied, `args` too; ids and MAC addresses are new."""
    with here.place.locked(request.vmid, log):
        source = check_clone(here, caller, request)
        log(f"creating a clone of VM {request.vmid} with ID {request.newid}")
        reserve(here, request.newid, "unable to create VM", "clone")
        main = {name: value for name, value in source.items()
                if name not in ("parent", "snaptime", "vmstate", "snapstate", "runningcpu", "runningmachine",
                                "running-nets-host-mtu", "template", "lock") and not name.startswith("unused")}  # fmt: skip
        smbios = formats.parse_property_string(devices.SMBIOS1, str(main.get("smbios1", "")))
        main["smbios1"] = devices.print_string(devices.SMBIOS1, {**smbios, "uuid": prepare.new_uuid()})
        if "vmgenid" in main:
            main["vmgenid"] = prepare.new_uuid()
        main["name"] = request.name or f"Copy-of-VM-{source.get('name', request.vmid)}"
        if request.description:
            main["description"] = request.description
        for name in list(main):
            copy_device(here, request, main, name, log)
        here.save(request.newid, conf.Conf(main=main))


def copy_device(here: node.Node, request: Clone, main: conf.Section, name: str, log: Log) -> None:
    value = str(main[name])
    if schema.of_kind(name, "net"):
        parts = formats.parse_property_string(devices.NET, value)
        main[name] = devices.print_string(devices.NET, {**parts, "macaddr": prepare.random_mac()})
    elif drives.is_drive(name):
        drive = drives.parse(name, value)
        if drive is None or drive.cdrom or not drive.storage:
            return
        size = storage.need_size(here, storage.parse(here, drive.file))
        volume, line = storage.allocate(here, drive.storage, request.newid, size)
        log(f"create full clone of drive {name} ({drive.file})")
        log(line)
        main[name] = drives.render(replace(drive).but(file=volume.id))
