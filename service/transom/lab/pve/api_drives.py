"""The API below /nodes/{node}/qemu/{vmid} about what a VM is made of: size of disks, features, cloud-init, migration."""

from __future__ import annotations

import re
from typing import Final

from transom.lab.pve import (
    change,
    cloudinit,
    clusterlog,
    conf,
    create,
    drives,
    keys,
    mapping,
    node,
    power,
    replies,
    runstate,
    schema,
    storage,
)
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.permit import parsed
from transom.lab.pve.routing import Request, Route, vm_right
from transom.lab.pve.tasks import Log

VM: Final = "/nodes/{node}/qemu/{vmid}"
UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SIZE: Final = r"(\+?)(\d+(?:\.\d+)?)([KMGT]?)"


def get_cloudinit(request: Request) -> object:
    return cloudinit.rows(request.node.load(request.vmid))


def disks(section: conf.Section) -> list[tuple[str, drives.Drive]]:
    found = [(name, drives.parse(name, str(section[name]))) for name in drives.ORDER if name in section]
    return [(name, drive) for name, drive in found if drive]


def get_feature(request: Request) -> object:
    here, name = request.node, request.text("snapname")
    power.need_config(here, request.vmid)
    current = here.load(request.vmid)
    if name and name not in current.snapshots:
        replies.die(f"snapshot '{name}' does not exist")
    found = disks(current.snapshots[name] if name else current.main)
    shared = all(storage.get(here, drive.storage).shared for _, drive in found if drive.storage)
    able = all(has_feature(here, drive, request.text("feature"), name) for _, drive in found if not drive.cdrom)
    return {"hasFeature": int(able), "nodes": list(here.everywhere()) if shared else [here.name]}


def has_feature(here: node.Node, drive: drives.Drive, feature: str, snapname: str) -> bool:
    """A raw file has neither snapshots nor linked clones; only base images can be cloned so."""
    if not drive.storage:
        return False
    volume = storage.parse(here, drive.file)
    base = volume.name.rpartition("/")[2].startswith("base-")
    raw = bool(volume.storage.path) and volume.format == "raw"
    if feature == "snapshot":
        return not (raw or base)
    return base and not snapname if feature == "clone" else not (raw and snapname)


def put_resize(request: Request) -> object:
    if request.flag("skiplock") and not request.caller.root:
        replies.bad_parameters({"skiplock": "Only root may use this option."})
    return request.node.tasks.start("resize", str(request.vmid), request.caller, lambda log: resize(request, log))


def resize(request: Request, log: Log) -> None:
    here, vmid, name = request.node, request.vmid, request.text("disk")
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if request.text("digest") not in ("", "0", current.digest):
            replies.die("checksum mismatch (file change by other user?)")
        if not request.flag("skiplock"):
            change.check_lock(current)
        if not current.main.get(name):
            replies.die(f"disk '{name}' does not exist")
        drive = drives.Drive(name, parsed(name, current.text(name)))
        volume = storage.parse(here, drive.file)
        if drive.cdrom:
            replies.die("you can't resize a cdrom")
        here.access.check(request.caller, f"/storage/{drive.storage}", "Datastore.AllocateSpace")
        size = storage.need_size(here, volume)
        wanted = wanted_size(request.text("size"), size)
        if wanted < size:
            replies.die("shrinking disks is not supported")
        if wanted == size:
            return
        clusterlog.add(here, request.caller, f"update VM {vmid}: resize --disk {name} --size {request.text('size')}")
        storage.grow(here, volume, wanted)
        current.main[name] = drives.render(drive.but(size=drives.format_size(wanted)))
        here.save(vmid, current)


def wanted_size(text: str, size: int) -> int:
    """Bytes of `+1G` or `32G`."""
    found = re.fullmatch(SIZE, text)
    if found is None:
        replies.die("internal error")
    return int(float(found[2]) * UNITS[found[3]]) + (size if found[1] else 0)


def put_sendkey(request: Request) -> object:
    if request.flag("skiplock") and not request.caller.root:
        replies.bad_parameters({"skiplock": "Only root may use this option."})
    here, vmid = request.node, request.vmid
    with here.place.locked(vmid):
        here.load(vmid)
        power.need_running(here, vmid)
        if not request.text("key"):
            replies.die("sendkey: string expected")
        if (key := keys.unknown(request.text("key"))) is not None:
            replies.die(f"invalid parameter: {key}")
    return None


def get_migrate(request: Request) -> object:
    """What keeps the VM here. The lab migrates nothing, but programs ask before they try."""
    here, current = request.node, request.node.load(request.vmid)
    change.check_lock(current)
    running = runstate.read(here.place, request.vmid) is not None
    local, mapped = devices_here(current.main, running)
    missing = {name: without_mapping(here, name, mapped) for name in here.everywhere() if name != here.name}
    return {
        "running": int(running),
        "allowed_nodes": [name for name, lacking in missing.items() if not lacking],
        "not_allowed_nodes": {name: {"unavailable-resources": lacking} for name, lacking in missing.items() if lacking},
        "local_disks": [disk_row(name, drive) for name, drive in disks(current.main)
                        if drive.file != "none" and not (drive.storage and storage.get(here, drive.storage).shared)],
        "local_resources": local,
        "mapped-resources": sorted(mapped),
        "mapped-resource-info": {key: {"name": name} for key, name in mapped.items()},
        "has-dbus-vmstate": 1,
    }  # fmt: skip


def post_migrate(request: Request) -> object:
    """Every refusal that comes before a migration; the lab begins none."""
    here, target = request.node, request.text("target")
    if target == here.name:
        replies.bad_parameters({"target": "target is local node."})
    create.need_member(here, target)
    for name in ("force", "migration_type", "migration_network"):
        if request.text(name) not in ("", "0") and not request.caller.root:
            replies.bad_parameters({name: "Only root may use this option."})
    change.check_lock(here.load(request.vmid))
    if runstate.read(here.place, request.vmid) and not request.flag("online"):
        replies.die("can't migrate running VM without --online")
    raise replies.Refused(501, "the lab migrates no VMs")


def devices_here(main: conf.Section, running: bool) -> tuple[list[str], dict[str, str]]:
    """Devices that bind the VM to the node, and mapped ones as {key: mapping}."""
    local = ["ivshmem"] if "ivshmem" in main else []
    mapped: dict[str, str] = {}
    for name, value in main.items():
        options = parsed(name, str(value)) if re.match(r"usb|hostpci|virtiofs", name) else {}
        if options.get("host", "").lower() == "spice" or value == "socket":
            continue
        if target := options.get("mapping") or options.get("dirid"):
            mapped[name] = target
            if schema.of_kind(name, "hostpci") and not running:
                continue
        if any(schema.of_kind(name, kind) for kind in ("usb", "hostpci", "serial", "parallel", "virtiofs")):
            local.append(name)
    return local, mapped


def without_mapping(here: node.Node, name: str, mapped: dict[str, str]) -> list[str]:
    """The keys whose mapping has no device on that node."""
    missing = []
    for key, wanted in mapped.items():
        kind = "pci" if key.startswith("hostpci") else "usb" if key.startswith("usb") else ""
        known = mapping.load(here, kind) if kind else {}
        if wanted not in known or not known[wanted].on(kind, name):
            missing.append(key)
    return missing


def disk_row(name: str, drive: drives.Drive) -> dict[str, object]:
    flags = {"cdrom": drive.cdrom and not drive.cloudinit, "is_attached": True, "is_cloudinit": drive.cloudinit,
             "is_tpmstate": name == "tpmstate0", "is_unused": False, "is_vmstate": False,
             "replicate": drive.values.get("replicate") != "0", "shared": False}  # fmt: skip
    size = {"size": drives.parse_size(drive.values["size"])} if "size" in drive.values else {}
    return {"volid": drive.file, "drivename": name, **size, **{key: int(value) for key, value in flags.items()}}


FEATURE: Final[Fields] = {"feature": Prop(optional=False, enum=("snapshot", "clone", "copy")),
                          "snapname": Prop(format="pve-configid", max_length=40)}  # fmt: skip
RESIZE: Final[Fields] = {
    "skiplock": Prop("boolean"), "disk": Prop(optional=False, enum=drives.ORDER),
    "size": Prop(optional=False, pattern=SIZE), "digest": Prop(max_length=40),
}  # fmt: skip
MIGRATE: Final[Fields] = {
    "target": Prop(optional=False, format="pve-node"), "online": Prop("boolean"), "force": Prop("boolean"),
    "migration_type": Prop(enum=("secure", "insecure")), "migration_network": Prop(),
    "with-local-disks": Prop("boolean"), "targetstorage": Prop(), "bwlimit": Prop("integer", minimum=0),
    "with-conntrack-state": Prop("boolean"),
}  # fmt: skip
AUDIT: Final = vm_right("VM.Audit")
ROUTES: Final = (
    Route("GET", f"{VM}/cloudinit", get_cloudinit, {}, AUDIT),
    Route("GET", f"{VM}/feature", get_feature, FEATURE, AUDIT),
    Route("PUT", f"{VM}/resize", put_resize, RESIZE, vm_right("VM.Config.Disk")),
    Route("PUT", f"{VM}/sendkey", put_sendkey, {"skiplock": Prop("boolean"), "key": Prop(optional=False)},
          vm_right("VM.Console")),
    Route("GET", f"{VM}/migrate", get_migrate, {"target": Prop(format="pve-node")}, vm_right("VM.Migrate")),
    Route("POST", f"{VM}/migrate", post_migrate, MIGRATE, vm_right("VM.Migrate")),
)  # fmt: skip
