"""The API of storages: lists, contents, uploads, downloads."""

from __future__ import annotations

import os
import re
import time
from typing import Final

from transom.lab.pve import drives, files, replies, scalars, storage, world
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import Request, Right, Route
from transom.lab.pve.tasks import Log

SEE: Final = ("Datastore.Audit", "Datastore.AllocateSpace")
UPLOADABLE: Final = ("iso", "vztmpl", "import")
ENDINGS: Final = {"iso": r"\.(?:iso|img)", "vztmpl": r"\.tar\.(?:gz|xz|zst|bz2)",
                  "import": r"\.(?:ova|ovf|qcow2|raw|vmdk)"}  # fmt: skip


def row(store: world.Storage) -> dict[str, object]:
    used = store.size // 10
    return {"type": store.type, "content": ",".join(sorted(store.content.split(","))), "total": store.size,
            "used": used, "avail": store.size - used, "enabled": 1, "active": 1, "shared": int(store.shared)}  # fmt: skip


def get_storages(request: Request) -> object:
    rows = []
    content = scalars.split_list(request.text("content"))
    if name := request.text("storage"):
        need_storage(request, name)
    elsewhere = request.text("target") not in ("", request.node.name)
    for store in storage.storages(request.node).values():
        if not request.node.access.may(request.caller, f"/storage/{store.id}", SEE, any_of=True):
            continue
        if request.text("storage") not in ("", store.id) or not all(one in store.content for one in content):
            continue
        if elsewhere and not store.shared:
            continue
        rows.append(row(store) | {"storage": store.id, "used_fraction": 0.1})
    return rows


def get_definitions(request: Request) -> object:
    """GET /storage: the configuration rather than the state."""
    rows = []
    for store in storage.storages(request.node).values():
        if request.node.access.may(request.caller, f"/storage/{store.id}", SEE, any_of=True):
            rows.append({"storage": store.id, "type": store.type, "content": store.content}
                        | ({"path": store.path} if store.path else {}))  # fmt: skip
    return rows


def get_status(request: Request) -> object:
    return row(need_storage(request, request.path["storage"]))


def need_storage(request: Request, name: str) -> world.Storage:
    """As those say it that ask for the state of storages."""
    found = storage.storages(request.node).get(name)
    if found is None:
        replies.bad_parameters({"storage": "No such storage."})
    return found


def get_content(request: Request) -> object:
    store = storage.get(request.node, request.path["storage"])
    rows = storage.content(request.node, store)
    if kind := request.text("content"):
        rows = [one for one in rows if one["content"] == kind]
    if vmid := request.text("vmid"):
        rows = [one for one in rows if one.get("vmid") == int(vmid)]
    return rows


def volume_of(request: Request) -> storage.Volume:
    name, here = request.path["volume"], request.path["storage"]
    other = name.partition(":")[0]
    if ":" in name and other != here:
        replies.bad_parameters({"volume": f"storage ID mismatch ({other} != {here})"})
    return storage.parse(request.node, name if ":" in name else f"{request.path['storage']}:{name}")


def get_volume(request: Request) -> object:
    volume = volume_of(request)
    storage.check_use(request.node, request.caller, 0, volume.id)
    size = storage.size_of(request.node, volume)
    if size is None:
        replies.die(f"volume_size_info on '{volume.id}' failed - no format")
    shown = storage.shown_path(volume)
    return {"path": shown, "size": size, "used": size, "format": "raw" if volume.kind == "iso" else volume.format}


def post_content(request: Request) -> object:
    """Allocates a disk image."""
    store = storage.get(request.node, request.path["storage"])
    kilobytes = request.text("size")
    size = drives.parse_size(kilobytes) * (1 if kilobytes[-1:] in "MG" else 1024)
    vmid, name = request.number("vmid"), request.text("filename")
    if not store.path:
        return storage.allocate(request.node, store.id, vmid, size)[0].id
    kind = request.text("format") or name.rpartition(".")[2]
    if kind not in ("raw", "qcow2", "vmdk", "subvol") or not name.endswith(f".{kind}"):
        replies.die(f"unable to parse volume filename '{name}'")
    volume = storage.parse(request.node, f"{store.id}:{vmid}/{name}")
    path = storage.file_of(request.node, volume)
    if path.exists():
        replies.die(f"disk image '{storage.shown_path(volume)}' already exists")
    storage.make_file(path, size)
    return volume.id


def delete_volume(request: Request) -> object:
    volume = volume_of(request)
    where = f"/storage/{volume.storage.id}"
    if not (volume.owner and request.node.access.may(request.caller, where, ("Datastore.AllocateSpace",))):
        request.node.access.check(request.caller, where, "Datastore.Allocate")
    path = storage.file_of(request.node, volume)

    def work(log: Log) -> None:
        if not path.exists():
            log(f"disk image '{storage.shown_path(volume)}' does not exist")
        path.unlink(missing_ok=True)
        log(f"Removed volume '{volume.id}'")

    return request.node.tasks.start("imgdel", volume.storage.id, request.caller, work)


def check_file(name: str, content: str, complaint: str) -> None:
    good = re.fullmatch(r"[^/\s]+", name) and re.search(f"{ENDINGS[content]}$", name, re.I)
    if not good:
        replies.bad_parameters({"filename": complaint})


def target(request: Request, name: str, content: str) -> storage.Volume:
    store = storage.get(request.node, request.path["storage"])
    if content not in store.content.split(","):
        replies.die(f"storage '{store.id}' is not configured for content-type '{content}'")
    return storage.Volume(store, f"{content}/{name}", content)


def post_upload(request: Request) -> object:
    name, content = request.files["filename"]
    kind = request.text("content")
    name = re.sub(r"[^-a-zA-Z0-9_.]", "_", name.rsplit("/", 1)[-1])
    check_file(name, kind, "invalid filename or wrong extension")
    volume = target(request, name, kind)
    shown, source = storage.shown_path(volume), f"/var/tmp/pveupload-{os.urandom(16).hex()}"
    path, node = storage.file_of(request.node, volume), request.node.name

    def work(log: Log) -> None:
        for line in (f"starting file import from: {source}", f"target node: {node}", f"target file: {shown}",
                     f"file size is: {len(content)}", f"command: cp -- {source} {shown}"):  # fmt: skip
            log(line)
        files.write(path, content)
        log("finished file import successfully")

    return request.node.tasks.start("imgcopy", "", request.caller, work)


def post_download(request: Request) -> object:
    name, kind, url = request.text("filename").rsplit("/", 1)[-1], request.text("content"), request.text("url")
    check_file(name, kind, "wrong file extension")
    volume = target(request, name, kind)
    shown, path = storage.shown_path(volume), storage.file_of(request.node, volume)

    def work(log: Log) -> None:
        log(f"downloading {url} to {shown}")
        log(f"--{time.strftime('%Y-%m-%d %H:%M:%S')}--  {url}")
        files.write(path, fetch(url))
        log(f"download of '{url}' to '{shown}' finished")

    return request.node.tasks.start("download", name, request.caller, work)


def fetch(url: str) -> bytes:
    """The content behind an http(s) address; 500 in the words of wget."""
    import urllib.error  # here, because `qm` starts faster without them
    import urllib.parse
    import urllib.request

    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        replies.die(f"download failed: {url}: unsupported scheme")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: bytes = answer.read()
            return found
    except urllib.error.HTTPError as error:
        replies.die(f"download failed: {error.code} {error.reason}")
    except OSError as error:
        cause = getattr(error, "reason", error)
        text = getattr(cause, "strerror", None) or str(cause)
        where = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        replies.die(f"download failed: Connecting to {where}... failed: {text}.")


def query_url(request: Request) -> object:
    try:
        content = fetch(request.text("url"))
    except replies.Refused as error:
        found = re.search(r"Connecting to (\S+)\.\.\. failed: (.*)\.$", error.text)
        why = f"500 Can't connect to {found[1]} ({found[2]})" if found else error.text.removeprefix("download failed: ")
        replies.die(f"invalid server response: '{why}'")
    return {"size": len(content), "filename": request.text("url").rsplit("/", 1)[-1]}


BASE: Final = "/nodes/{node}/storage/{storage}"
UPLOAD: Final[Fields] = {
    "content": Prop(optional=False, format="pve-storage-content", enum=UPLOADABLE), "filename": Prop(optional=False),
    "checksum": Prop(), "checksum-algorithm": Prop(enum=("md5", "sha1", "sha224", "sha256", "sha384", "sha512")),
    "tmpfilename": Prop(),
}  # fmt: skip
DOWNLOAD: Final[Fields] = {
    "url": Prop(optional=False, pattern=r"https?://.*"), "filename": Prop(optional=False, max_length=255),
    "content": Prop(optional=False, format="pve-storage-content", enum=UPLOADABLE),
    "checksum": Prop(requires="checksum-algorithm"), "checksum-algorithm": Prop(requires="checksum"),
    "verify-certificates": Prop("boolean"), "compression": Prop(),
}  # fmt: skip
SEEN: Final = Right("/storage/{storage}", SEE, any_of=True)
ALLOCATE: Final = Right("/storage/{storage}", ("Datastore.AllocateTemplate",))
NETWORK: Final = Right("/nodes/{node}", ("Sys.AccessNetwork", "Sys.Modify"), any_of=True, silent=True)
ALLOC_PARAMS: Final[Fields] = {
    "filename": Prop(optional=False), "vmid": Prop("integer", optional=False, format="pve-vmid"),
    "size": Prop(optional=False, pattern=r"\d+[MG]?"), "format": Prop(enum=("raw", "qcow2", "subvol", "vmdk")),
}  # fmt: skip
ROUTES: Final = (
    Route("GET", "/storage", get_definitions, {"type": Prop()}),
    Route("GET", "/nodes/{node}/storage", get_storages,
          {"content": Prop(format="pve-storage-content-list"), "storage": Prop(), "enabled": Prop("boolean"),
           "target": Prop(), "format": Prop("boolean")}),
    Route("GET", f"{BASE}/status", get_status, {}, SEEN),
    Route("GET", f"{BASE}/content", get_content,
          {"content": Prop(format="pve-storage-content"), "vmid": Prop("integer", format="pve-vmid")}, SEEN),
    Route("POST", f"{BASE}/content", post_content, ALLOC_PARAMS,
          Right("/storage/{storage}", ("Datastore.AllocateSpace",))),
    Route("GET", f"{BASE}/content/{{volume}}", get_volume),
    Route("DELETE", f"{BASE}/content/{{volume}}", delete_volume, {"delay": Prop("integer", minimum=1, maximum=30)}),
    Route("POST", f"{BASE}/upload", post_upload, UPLOAD, ALLOCATE),
    Route("POST", f"{BASE}/download-url", post_download, DOWNLOAD, ALLOCATE),
    Route("GET", "/nodes/{node}/query-url-metadata", query_url,
          {"url": Prop(optional=False, pattern=r"https?://.*"), "verify-certificates": Prop("boolean")}, NETWORK),
)  # fmt: skip
