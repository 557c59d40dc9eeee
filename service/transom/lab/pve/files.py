"""The files of one node: where they are, atomic writes, PVE's locks, and the counters of pmxcfs.

`etc/pve/.vmlist` carries for every VM a counter that moves at each write of its file by anybody; `refresh` brings it up
to date after looking at the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from transom.lab.pve import replies

LOCK_WAIT = 10.0  # seconds that qemu-server waits for a VM's lock


def below(root: Path, inside: str) -> Path:
    """Where `inside` is as the node sees it: its links, absolute ones too, never lead out of `root`."""
    left, at, hops = [part for part in inside.split("/") if part], root, 0
    while left:
        part = left.pop(0)
        if part == "..":
            at = at if at == root else at.parent
            continue
        step = at if part == "." else at / part
        if step.is_symlink() and hops < 40:
            hops += 1
            target = str(step.readlink())
            left = [name for name in target.split("/") if name] + left
            at = root if target.startswith("/") else at
        else:
            at = step
    return at


@dataclass(frozen=True)
class NodeFiles:
    """The layout below one root."""

    root: Path
    node: str

    def path(self, inside: str) -> Path:
        return below(self.root, inside)

    @property
    def etc(self) -> Path:
        return self.path("etc/pve")

    @property
    def configs(self) -> Path:
        return self.path(f"etc/pve/nodes/{self.node}/qemu-server")

    @property
    def run(self) -> Path:
        return self.path("run/qemu-server")

    @property
    def tasks(self) -> Path:
        return self.path("var/log/pve/tasks")

    @property
    def state(self) -> Path:
        """What a real node keeps elsewhere: the world's description, volumes, answers of guest agents."""
        return self.path("var/lib/transom-lab")

    def config(self, vmid: int) -> Path:
        return self.path(f"etc/pve/nodes/{self.node}/qemu-server/{vmid}.conf")

    @property
    def quorate(self) -> bool:
        """Whether `/etc/pve` may be written; the lab takes quorum away by leaving `.noquorum` there."""
        return not (self.etc / ".noquorum").exists()

    def locked(self, vmid: int, log: Callable[[str], None] | None = None, timeout: float = LOCK_WAIT) -> _Lock:
        """The lock of a VM, which without quorum nobody gets; `log` hears when it has to be waited for."""
        if not self.quorate:
            replies.die("cluster not ready - no quorum?")
        name = f"/var/lock/qemu-server/lock-{vmid}.conf"
        return _Lock(self.path(name), name, timeout, log)

    def lay_out(self) -> None:
        """Makes the folders; `etc/pve/local` and `etc/pve/qemu-server` are links, as pmxcfs shows them."""
        for path in (self.configs, self.path("etc/pve/priv"), self.path("etc/pve/mapping"), self.run, self.tasks, self.state,
                     self.path("var/lock/qemu-server"), self.path("var/lib/vz")):  # fmt: skip
            path.mkdir(parents=True, exist_ok=True)
        for name, target in {"local": f"nodes/{self.node}", "qemu-server": f"nodes/{self.node}/qemu-server"}.items():
            link = self.etc / name
            if not link.is_symlink() and not link.exists():
                with contextlib.suppress(FileExistsError):
                    link.symlink_to(target)

    def vmids(self) -> list[int]:
        return sorted(int(path.stem) for path in self.configs.glob("*.conf") if path.stem.isdigit())


class _Lock:
    """flock on a file, as PVE and `flock(1)` hold it; 500 after `timeout` seconds."""

    def __init__(self, path: Path, shown: str, timeout: float, log: Callable[[str], None] | None) -> None:
        self.path, self.shown, self.timeout, self.log = path, shown, timeout, log
        self.handle = -1

    def __enter__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.handle = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        end, waited = time.monotonic() + self.timeout, False
        while True:
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if waited and self.log:
                    self.log(" OK")
                return
            except BlockingIOError:
                if not waited and self.log:
                    self.log("trying to acquire lock...")
                waited = True
            if time.monotonic() >= end:
                os.close(self.handle)
                replies.die(f"can't lock file '{self.shown}' - got timeout")
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


def locked_file(path: Path, timeout: float = LOCK_WAIT) -> _Lock:
    return _Lock(path, str(path), timeout, None)


def write(path: Path, content: bytes) -> None:
    """Whole or not at all: readers never see half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp.{os.getpid()}.{threading.get_ident()}")
    try:
        beside.write_bytes(content)
        beside.chmod(0o640)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    write(path, json.dumps(value, sort_keys=True).encode())


def read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_text(path: Path) -> str:
    """'' when the file is not there."""
    return (read(path) or b"").decode("utf-8", "replace")


def read_json(path: Path) -> dict[str, object]:
    """{} when the file is not there or holds something else."""
    try:
        value = json.loads(read_text(path) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def count(path: Path, start: int = 1) -> int:
    """The next number of a counter that all processes share."""
    with locked_file(path.with_name(f"{path.name}.lock")):
        number = int(read_text(path).strip() or start) + 1
        write(path, str(number).encode())
    return number


def refresh(files: NodeFiles) -> None:
    """Brings .vmlist and .version up to date with the folder of configurations.

    A file counts as written when its inode, size or time of change differs from what was last seen.
    """
    seen_path = files.path("run/pmxcfs/seen.json")
    with locked_file(files.path("run/pmxcfs/lock")):
        seen = read_json(seen_path)
        if not seen:
            seen = {"starttime": int(time.time()), "counter": 0, "files": {}}
        old = seen["files"] if isinstance(seen["files"], dict) else {}
        now = dict(_stamps(files))
        changed = [vmid for vmid, stamp in now.items() if stamp != (old.get(vmid) or [None])[0]]
        if not changed and old.keys() == now.keys() and files.path("etc/pve/.vmlist").exists():
            return
        counter = int(str(seen["counter"]))
        for vmid in sorted(changed, key=int):
            counter += 1
            old[vmid] = [now[vmid], counter]
        gone = old.keys() - now.keys()
        counter += bool(gone)
        seen |= {"counter": counter, "files": {vmid: old[vmid] for vmid in now}}
        _write_lists(files, seen, counter)
        write_json(seen_path, seen)


def _stamps(files: NodeFiles) -> Iterator[tuple[str, str]]:
    for vmid in files.vmids():
        with contextlib.suppress(FileNotFoundError):
            stat = files.config(vmid).stat()
            yield str(vmid), f"{stat.st_ino}.{stat.st_size}.{stat.st_mtime_ns}"


def _write_lists(files: NodeFiles, seen: dict[str, object], counter: int) -> None:
    """VMs of other nodes stay as they stand: their nodes count them."""
    entries = seen["files"] if isinstance(seen["files"], dict) else {}
    listed = read_json(files.path("etc/pve/.vmlist")).get("ids")
    others = {vmid: row for vmid, row in (listed if isinstance(listed, dict) else {}).items()
              if row.get("node") != files.node}  # fmt: skip
    mine = {vmid: {"node": files.node, "type": "qemu", "version": entry[1]} for vmid, entry in entries.items()}
    write_json(files.path("etc/pve/.vmlist"), {"version": counter, "ids": {**others, **mine}})
    write_json(files.path("etc/pve/.version"), {"starttime": seen["starttime"], "clinfo": 1, "vmlist": counter})
