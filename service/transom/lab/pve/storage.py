"""Storages and their volumes: allocation, existence, size, and who may use them.

A file storage has its files below the root, a block storage a record a volume below var/lib/transom-lab/volumes.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transom.lab.pve import access, drives, files, node, replies, sections, world

FOLDERS = {"iso": "template/iso", "vztmpl": "template/cache", "snippets": "snippets", "backup": "dump",
           "import": "import"}  # fmt: skip
CLOUDINIT_SIZE = 4 * 2**20
QCOW2 = ("fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib size={size} "
         "lazy_refcounts=off refcount_bits=16")  # fmt: skip
DISK_FILE = re.compile(r"(\d+)/([^/\s]+)\.(raw|qcow2|vmdk|subvol)")


@dataclass(frozen=True)
class Volume:
    """A volume id taken apart. `owner` is the VM of a disk image, 0 otherwise."""

    storage: world.Storage
    name: str
    kind: str
    owner: int = 0
    format: str = "raw"

    @property
    def id(self) -> str:
        return f"{self.storage.id}:{self.name}"


def storages(here: node.Node) -> dict[str, world.Storage]:
    found: dict[str, world.Storage] = {}
    for header, values in sections.parse(files.read_text(here.place.path("etc/pve/storage.cfg"))).items():
        kind, _, name = header.partition(": ")

        def first(key: str, default: str = "", values: dict[str, list[str]] = values) -> str:
            return values.get(key, [default])[0]

        found[name] = world.Storage(name, kind, first("path"), first("content", "images,rootdir"),
                                    first("shared") == "1", int(first("size", str(100 * 2**30))))  # fmt: skip
    return found or {"local": world.Storage("local", path="/var/lib/vz")}


def get(here: node.Node, name: str) -> world.Storage:
    found = storages(here).get(name)
    if found is None:
        replies.die(f"storage '{name}' does not exist")
    return found


def parse(here: node.Node, volid: str) -> Volume:
    """500 in PVE's words for an unknown storage or a name that the storage cannot have."""
    name, sign, rest = volid.partition(":")
    if not sign:
        replies.die(f"unable to parse volume ID '{volid}'")
    store = get(here, name)
    if store.path:
        for kind in FOLDERS:
            if re.fullmatch(rf"{kind}/[^/]+", rest) and (kind != "iso" or re.search(r"\.(iso|img)$", rest, re.I)):
                return Volume(store, rest, kind, format=kind)
        if found := DISK_FILE.fullmatch(rest):
            return Volume(store, rest, "images", int(found[1]), found[3])
        replies.die(f"unable to parse directory volume name '{rest}'")
    found = re.fullmatch(r"(?:vm|base)-(\d+)-\S+", rest)
    if not found:
        replies.die(f"unable to parse lvm volume name '{rest}'")
    return Volume(store, rest, "images", int(found[1]))


def of_path(here: node.Node, path: str) -> Volume | None:
    """The volume that a path of the node names, None when it lies in no storage."""
    for store in storages(here).values():
        inside = path.removeprefix(f"{store.path}/") if store.path else path
        for kind, folder in {**{kind: f"{sub}/" for kind, sub in FOLDERS.items()}, "": "images/"}.items():
            name = f"{kind}/" * bool(kind) + inside.removeprefix(folder)
            if inside == path or not inside.startswith(folder):
                continue
            try:
                return parse(here, f"{store.id}:{name}")
            except replies.Refused:
                return None
    return None


def shown_path(volume: Volume) -> str:
    """The volume's path as the node sees it."""
    if not volume.storage.path:
        return f"/var/lib/transom-lab/volumes/{volume.storage.id}/{volume.name}"
    kind, _, name = volume.name.partition("/")
    inside = f"{FOLDERS[kind]}/{name}" if kind in FOLDERS else f"images/{volume.name}"
    return f"{volume.storage.path}/{inside}"


def file_of(here: node.Node, volume: Volume) -> Path:
    """Where the volume is recorded."""
    return here.place.path(shown_path(volume))


def size_of(here: node.Node, volume: Volume) -> int | None:
    """Bytes, None when there is no such volume."""
    path = file_of(here, volume)
    if volume.storage.path:
        return path.stat().st_size if path.is_file() else None
    return int(files.read_text(path).strip() or 0) if path.is_file() else None


def need_size(here: node.Node, volume: Volume) -> int:
    size = size_of(here, volume)
    if size is None:
        replies.die(f"volume '{volume.id}' does not exist")
    return size


def allocate(here: node.Node, storage_id: str, vmid: int, size: int) -> tuple[Volume, str]:
    """A new disk image of `size` bytes; returns it with the line that the tool behind it prints."""
    store = get(here, storage_id)
    with files.locked_file(here.place.path("run/pve-storage.lock")):
        volume = next(one for one in names(store, vmid) if not file_of(here, one).exists())
        path = file_of(here, volume)
        if not store.path:
            files.write(path, str(size).encode())
            return volume, f'  Logical volume "{volume.name}" created.'
        make_file(path, size)
    shown = f"{store.path}/images/{volume.name}"
    return volume, f"Formatting '{shown}', fmt=raw size={size} preallocation=off"


def make_file(path: Path, size: int) -> None:
    """Sparse: the size is what counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, size)


def names(store: world.Storage, vmid: int) -> Iterator[Volume]:
    """The names that a VM's images may have, in the order in which PVE tries them."""
    for index in itertools.count():
        plain = f"vm-{vmid}-disk-{index}"
        yield Volume(store, f"{vmid}/{plain}.raw" if store.path else plain, "images", vmid)


def free(here: node.Node, volid: str) -> None:
    file_of(here, parse(here, volid)).unlink(missing_ok=True)


def check_use(here: node.Node, caller: access.Caller, vmid: int, volid: str) -> None:
    """May the caller attach this volume to this VM?"""
    if volid.startswith("/"):
        if not caller.root:
            replies.die("Only root can pass arbitrary filesystem paths.")
        return
    volume = parse(here, volid)
    where = f"/storage/{volume.storage.id}"
    if here.access.may(caller, where, ("Datastore.Allocate",)):
        return
    if volume.kind in ("iso", "vztmpl", "import"):
        here.access.check(caller, where, "Datastore.AllocateSpace", "Datastore.Audit", any_of=True)
    elif volume.kind == "images" and volume.owner == vmid:
        return
    elif volume.kind == "images":
        here.access.check(caller, where, "Datastore.Audit")
        here.access.check_vm(caller, volume.owner, "VM.Config.Disk")
    else:
        replies.die(f"missing privileges to access {volid}")


def create_disk(here: node.Node, vmid: int, drive: drives.Drive, log: list[str]) -> drives.Drive:
    """The drive with its volume allocated, or with the size of the volume it names."""
    if drive.file.startswith("/") and not here.place.path(drive.file).exists():
        replies.die(f"volume {drive.file} does not exist")
    if drive.file in ("none", "cdrom") or drive.file.startswith("/"):
        return drive
    if drive.new_cloudinit:
        return create_cloudinit(here, vmid, drive, log)
    if drive.new_size is None:
        volume = parse(here, drive.file)
        return drive.but(size=drives.format_size(need_size(here, volume)))
    name, gigabytes = drive.new_size
    size = int(gigabytes * 2**30)
    if drive.key == "efidisk0":
        small = 540672 if drive.values.get("efitype") == "4m" else 131072
        size = small if get(here, name).path else 4 * 2**20
    elif drive.key == "tpmstate0":
        size = 4 * 2**20
    volume, line = allocate(here, name, vmid, size)
    made = drive.without("format", "import-from").but(file=volume.id, size=drives.format_size(size))
    log += [line, f"{drive.key}: successfully created disk '{drives.render(made)}'"]
    return made


def create_cloudinit(here: node.Node, vmid: int, drive: drives.Drive, log: list[str]) -> drives.Drive:
    """A CD-ROM drive with an empty image of the VM's own name."""
    store, size = get(here, drive.storage), CLOUDINIT_SIZE
    ending = drive.values.get("format", "qcow2")
    name = f"vm-{vmid}-cloudinit"
    volume = parse(here, f"{store.id}:{vmid}/{name}.{ending}" if store.path else f"{store.id}:{name}")
    with files.locked_file(here.place.path("run/pve-storage.lock")):
        path = file_of(here, volume)
        if path.exists():
            replies.die(f"disk image '{shown_path(volume)}' already exists")
        if store.path:
            make_file(path, size)
            shape = QCOW2.format(size=size) if ending == "qcow2" else f"fmt={ending} size={size} preallocation=off"
            log.append(f"Formatting '{shown_path(volume)}', {shape}")
        else:
            files.write(path, str(size).encode())
            log.append(f'  Logical volume "{name}" created.')
    made = drive.without("format").but(file=volume.id, media="cdrom")
    log.append(f"{drive.key}: successfully created disk '{drives.render(made)}'")
    return made


def grow(here: node.Node, volume: Volume, size: int) -> None:
    """The image gets its new size in bytes."""
    path = file_of(here, volume)
    if volume.storage.path:
        os.truncate(path, size)
    else:
        files.write(path, str(size).encode())


def content(here: node.Node, store: world.Storage) -> list[dict[str, object]]:
    """The volumes of a storage as the API lists them."""
    rows: list[dict[str, object]] = []
    if not store.path:
        folder = here.place.state / "volumes" / store.id
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return [_image_row(here, parse(here, f"{store.id}:{path.name}")) for path in paths]
    base = here.place.path(store.path)
    for kind, sub in FOLDERS.items():
        if kind not in store.content.split(","):
            continue
        for path in sorted((base / sub).iterdir()) if (base / sub).is_dir() else []:
            stat = path.stat()
            rows.append({"volid": f"{store.id}:{kind}/{path.name}", "content": kind, "size": stat.st_size,
                         "format": kind if kind == "iso" else path.suffix.lstrip("."),
                         "ctime": int(stat.st_ctime)})  # fmt: skip
    for path in sorted((base / "images").glob("*/*")):
        if DISK_FILE.fullmatch(f"{path.parent.name}/{path.name}"):
            rows.append(_image_row(here, parse(here, f"{store.id}:{path.parent.name}/{path.name}")))
    return rows


def _image_row(here: node.Node, volume: Volume) -> dict[str, object]:
    return {"volid": volume.id, "content": "images", "format": volume.format, "size": size_of(here, volume) or 0,
            "vmid": volume.owner, "ctime": int(file_of(here, volume).stat().st_ctime)}  # fmt: skip
