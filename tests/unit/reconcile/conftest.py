"""Nodes with state behind the loop's own protocols: a shell that knows the scripts it is given, and an API over the same VMs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import pathlib
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from patience import PATIENCE
from transom import errors, model
from transom.guest import conf
from transom.host.probes import identity
from transom.pve import tasks
from transom.reconcile import backend, keeper, library, settings
from transom.reconcile import world as w
from transom.spec import wish
from transom.ssh import pump
from transom.store import store

_FRAME = re.compile(r"=== ([0-9A-Za-z]+) (\w+)\\n")


def packed(files: Mapping[str, bytes], algorithm: str) -> bytes:
    """As the probes' ``collect`` prints files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    stats = b"".join(f"81a4 0 0 1700000000.000000000 {path}\0".encode() for path in files)
    hashes = b"".join(f"{hashlib.new(algorithm, data).hexdigest()}  {path}\0".encode() for path, data in files.items())
    return stats + b"\0" + hashes + b"\0" + (archive.getvalue() if files else b"")


class Node:
    """One node: files, VMs that run or not, packages. ``broken`` stands in the way of its shell, ``hangs`` while it is set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, bytes] = {}
        self.confs: dict[int, str] = {}
        self.running: set[int] = set()
        self.packages = {"pve-qemu-kvm": "9.0.2-4", "pve-manager": "8.2.4"}
        self.broken: BaseException | None = None
        self.denied: errors.TransomError | None = None
        self.hangs: threading.Event | None = None
        self.before_update: Callable[[], None] | None = None
        self.before_create: Callable[[int], None] | None = None
        self.tasks: list[tasks.Task] = []
        self.ends: list[tuple[str, ...]] = []
        self.lost: errors.TransomError | None = None
        self.refuses = ""
        """What ``qm showcmd`` says against a start."""
        self.silent: errors.TransomError | None = None
        self.on_look: Callable[[], None] | None = None
        self.full = False
        """Its disk has no room for another file."""
        self.looks = 0
        self.inside = 0
        self.overlaps = 0
        self.writes = 0
        self._lock = threading.Lock()

    def set(self, vmid: int, **values: str) -> None:
        """As somebody at the node's web page does."""
        parsed = conf.parse(self.confs[vmid])
        self.confs[vmid] = conf.render(dataclasses.replace(parsed, main={**parsed.main, **values}))

    def set_free(self, vmid: int) -> None:
        """What was pending comes into effect, as with a restart."""
        parsed = conf.parse(self.confs[vmid])
        main = {key: value for key, value in parsed.persisted().items() if key != "description"}
        self.confs[vmid] = conf.render(conf.GuestConf(main=main, description=parsed.description))

    def get(self, vmid: int, key: str) -> str | None:
        return conf.parse(self.confs[vmid]).persisted().get(key)

    @contextlib.contextmanager
    def visit(self) -> Iterator[None]:
        with self._lock:
            self.inside += 1
            self.overlaps += self.inside > 1
        try:
            yield
        finally:
            with self._lock:
                self.inside -= 1


class Host:
    """The shell of a node."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        del stdin, timeout, read_only
        if list(argv) == ["cat", "/proc/sys/kernel/random/boot_id"]:
            return pump.Completed(0, b"boot-1\n", b"")
        if list(argv[:2]) == ["qm", "showcmd"]:
            return pump.Completed(2 if self.node.refuses else 0, b"", self.node.refuses.encode())
        raise AssertionError(f"nobody runs {argv} here")

    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        del timeout, read_only
        if self.node.broken is not None:
            raise self.node.broken
        if self.node.hangs is not None:
            self.node.hangs.wait(2 * PATIENCE)  # whoever waits for it has lost patience before
        if found := _FRAME.search(text):
            return pump.Completed(0, self._observation(found[1], [name for _, name in _FRAME.findall(text)]), b"")
        if not args:
            assert text == identity.PROBE.command
            return pump.Completed(0, self._bodies()["identity"], b"")
        if len(args) == 1:
            data = self._read(args[0])
            return pump.Completed(44, b"", b"") if data is None else pump.Completed(0, data, b"")
        return pump.Completed(0, self._change(args, stdin).encode(), b"")

    def close(self) -> None:
        pass

    def _observation(self, nonce: str, names: Sequence[str]) -> bytes:
        self.node.looks += 1
        if self.node.on_look is not None:
            self.node.on_look()
        bodies = self._bodies()
        parts = []
        for name in dict.fromkeys(names):
            if name != "done":
                body, status = (bodies[name], 0) if name in bodies else (b"", 3)
                parts.append(f"=== {nonce} {name}\n".encode() + body + f"\n=== {nonce} end {name} {status}\n".encode())
        return b"".join(parts) + f"=== {nonce} done\n".encode()

    def _bodies(self) -> dict[str, bytes]:
        node = self.node
        confs = {
            f"/etc/pve/nodes/{node.name}/qemu-server/{vmid}.conf": text.encode() for vmid, text in node.confs.items()
        }
        return {
            "identity": f"nodes/{node.name}\n{node.name}\n".encode(),
            "boot": b"boot_id=boot-1\nkernel=6.8.12-1-pve\ncmdline=quiet\ntime=btime 1700000000\nfirmware=1\ngrub=1\n",
            "files": packed({}, "sha256"),
            "guests": packed(confs, "sha1"),
            "vmlist": b"",
            "packages": "".join(f"ii  {name} {version}\n" for name, version in node.packages.items()).encode(),
            "keeping": b"",
        }

    def _read(self, path: str) -> bytes | None:
        found = re.fullmatch(r"/etc/pve/qemu-server/(\d+)\.conf", path)
        if found:
            text = self.node.confs.get(int(found[1]))
            return None if text is None else text.encode()
        return self.node.files.get(path)

    def _change(self, args: Sequence[str], data: bytes) -> str:
        operation, _, path, _, expect, backup = args[:6]
        present = self._read(path)
        now = "absent" if present is None else hashlib.sha256(present).hexdigest()
        if operation == "retain":
            line = f"{path}\tabsent\t-\t-\t-\t-\n" if present is None else f"{path}\tfile\t{now}\t640\t0:33\t1\n"
            manifest = self.node.files.get(f"{backup}/manifest", b"").decode() + line
            self.node.files |= {f"{backup}/manifest": manifest.encode(), f"{backup}/{now}": present or b""}
            return "kept"
        if now != expect:
            return f"changed {now}"
        if self.node.full:
            raise errors.Rejected("No space left on device")
        self.node.writes += 1
        if operation == "remove":
            self.node.files.pop(path, None)
            return "removed"
        if operation == "restore":
            return self._restore(path, backup)
        self.node.files[path] = data
        return "written"

    def _restore(self, path: str, backup: str) -> str:
        """Of VMs only."""
        lines = (line.split("\t") for line in self.node.files[f"{backup}/manifest"].decode().splitlines())
        (was,) = {line[2] for line in lines if line[0] == path}
        vmid = int(pathlib.PurePath(path).stem)
        self.node.confs[vmid] = self.node.files[f"{backup}/{was}"].decode()
        return "restored"


@dataclasses.dataclass(frozen=True)
class Done:
    exitstatus: str = "OK"
    quorate: bool = True


class Api:
    """PVE's API of a node, for keys that a token may write."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def version(self) -> str:
        if self.node.denied is not None:
            raise self.node.denied
        return "8.2.4"

    def guests(self, node: str) -> Mapping[int, model.GuestState]:
        del node
        return {
            vmid: model.GuestState(vmid, "running" if vmid in self.node.running else "stopped")
            for vmid in self.node.confs
        }

    def storages(self, node: str) -> frozenset[str]:
        del node
        return frozenset({"local-lvm"})

    def images(self, node: str, storage: str) -> frozenset[str]:
        raise AssertionError(f"no document here names an image on {storage} of {node}")

    def cpus(self, node: str) -> int:
        del node
        return 12

    def status(self, node: str, vmid: int) -> model.GuestState:
        return self.guests(node)[vmid]

    def mappings(self, node: str) -> dict[str, model.PciMapping]:
        del node
        return {}

    def everywhere(self) -> tuple[model.ClusterGuest, ...]:
        return tuple(model.ClusterGuest(vmid, self.node.name) for vmid in self.node.confs)

    def cluster_status(self) -> Done:
        return Done()

    def nextid(self) -> int:
        return next(vmid for vmid in itertools.count(100) if vmid not in self.node.confs)

    def create(self, node: str, vmid: int, values: Mapping[str, str]) -> str:
        del node
        if self.node.before_create is not None:
            self.node.before_create(vmid)
        if vmid in self.node.confs:
            said = f"500 unable to create VM {vmid} - VM {vmid} already exists on node '{self.node.name}'"
            raise errors.Rejected(said)
        main = {key: value for key, value in values.items() if key != "description"} | {"vmgenid": f"gen-{vmid}"}
        self.node.confs[vmid] = conf.render(conf.GuestConf(main=main, description=values.get("description", "")))
        return self._task("qmcreate", vmid)

    def update(
        self,
        node: str,
        vmid: int,
        *,
        digest: str,
        values: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        revert: Sequence[str] = (),
    ) -> None:
        del node
        assert not revert
        if self.node.before_update is not None:
            self.node.before_update()
        text = self.node.confs[vmid]
        assert hashlib.sha1(text.encode()).hexdigest() == digest
        parsed = conf.parse(text)
        new = {**parsed.main, **(values or {})}
        note = new.pop("description", "" if "description" in delete else parsed.description)
        main = {key: value for key, value in new.items() if key not in delete}
        self.node.confs[vmid] = conf.render(dataclasses.replace(parsed, main=main, description=note))
        self.node.writes += 1

    def reboot(self, node: str, vmid: int) -> str:
        del node
        self.node.set_free(vmid)
        return self._task("qmreboot", vmid)

    def destroy(self, node: str, vmid: int) -> str:
        del node
        assert vmid not in self.node.running
        del self.node.confs[vmid]
        return self._task("qmdestroy", vmid)

    def task_ids(self, node: str, vmid: int) -> Sequence[str]:
        del node
        if self.node.silent is not None:
            raise self.node.silent
        return [task.upid for task in reversed(self.node.tasks) if f":{vmid}:" in task.upid]

    def follow(
        self,
        upid: str,
        *,
        timeout: float,
        sleep: Callable[[float], None],
        now: Callable[[], float],
        on_log: Callable[[str], None] | None = None,
    ) -> tasks.Task:
        del timeout, sleep, now
        if self.node.silent is not None:
            raise self.node.silent
        found = [task for task in self.node.tasks if task.upid == upid]
        if not found:
            raise errors.Rejected(f"GET /tasks/{upid}: 400 no such task")
        if found[0].status == "running":
            raise errors.Busy(f"{upid} still runs")
        for line in found[0].log if on_log else ():
            on_log(line)
        return found[0]

    def _task(self, kind: str, vmid: int) -> str:
        """It ends as the next of ``ends`` says; the request that began it fails as ``lost`` says."""
        number = len(self.node.tasks) + 1
        upid = f"UPID:{self.node.name}:{number:08X}:00000001:00000001:{kind}:{vmid}:transom@pve!t:"
        exitstatus, *log = self.node.ends.pop(0) if self.node.ends else ("OK",)
        status = "running" if exitstatus == "running" else "stopped"
        self.node.tasks.append(tasks.Task(upid, status, exitstatus, tuple(log)))
        if self.node.lost is not None:
            lost, self.node.lost = self.node.lost, None
            raise lost
        return upid

    def close(self) -> None:
        pass


class Clock:
    """Real time and what was added to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclasses.dataclass(frozen=True)
class Answer:
    """Of the sandbox."""

    result: Mapping[str, object]
    payload: bytes


class Fleet:
    """Fake nodes, a real store, a real keeper."""

    def __init__(self, folder: pathlib.Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.nodes = {name: Node(name) for name in names}
        self.clock = Clock()
        self.keepers: list[tuple[keeper.Keeper, store.Store]] = []
        self._nonces = itertools.count()
        self.shelves: list[library.Library] = []
        self.built: library.Sandbox = self.build

    def open(self, folder: str = "state", **options: float) -> keeper.Keeper:
        """A keeper that does not run yet; ``folder`` names its state."""
        kept = store.open_store(self.folder / folder)
        chosen = settings.Settings(**{"scan_every": 3600, "scan_jitter": 0, "settle": 0, "stop_within": 10, **options})  # type: ignore[arg-type]
        one = keeper.Keeper(
            kept,
            chosen,
            reach=self.reach,
            lock=lambda node: self.nodes[node].visit(),
            shelf=self.shelf(kept),
            instance=folder,
            now=self.clock,
            nonce=lambda: f"{next(self._nonces):04x}"[::-1].ljust(16, "0"),
        )
        self.keepers.append((one, kept))
        return one

    def shelf(self, kept: store.Store) -> library.Library:
        """A library whose sandbox is ``built``."""
        found = library.Library(kept, lambda *job: self.built(*job), tool="test 1", now=self.clock)
        self.shelves.append(found)
        return found

    def start(self, folder: str = "state", **options: float) -> keeper.Keeper:
        one = self.open(folder, **options)
        one.start()
        return one

    def stop(self) -> None:
        while self.keepers:
            one, kept = self.keepers.pop()
            one.close()
            kept.close()

    @contextlib.contextmanager
    def reach(self, node: wish.NodeWish) -> Iterator[w.World]:
        fake = self.nodes[node.name]
        host, api = Host(fake), Api(fake)
        if fake.broken is not None:
            raise fake.broken
        yield w.World(
            node=node.name,
            host=host,
            api=api,
            connect=lambda: host,
            now=self.clock,
            sleep=time.sleep,
            nonce=lambda: f"{next(self._nonces):04x}"[::-1].ljust(16, "0"),
            say=lambda _: None,
            read=lambda path: pathlib.Path(path).read_bytes(),
            built=self.shelves[-1].result if self.shelves else w.no_library,
        )

    @staticmethod
    def build(inputs: Sequence[library.Input], more: Mapping[str, object], say: Callable[[str], None]) -> library.Built:
        """Stands in for the sandbox: the inputs behind each other. An input of ``bad`` is no firmware."""
        say("building")
        data = b"".join(one.path.read_bytes() for one in inputs)
        if data == b"bad":
            raise errors.RomError("no GOP driver in it")
        return Answer({"good": True, "parts": [], "more": dict(more)}, b"ROM " + data)

    def documents(
        self, *, mode: str = "observe", percent: int = 100, memory: int = 2048, extra: str = ""
    ) -> backend.Text:
        """A cluster, a VM with id 101 on each node, and one policy for all."""
        parts = [_CLUSTER]
        parts += [_NODE.format(name=name) + _VM.format(name=name, memory=memory) for name in self.nodes]
        parts.append(_POLICY.format(mode=mode, percent=percent, extra=extra))
        return backend.Text("fleet.yaml", "---\n".join(parts))


_CLUSTER = """apiVersion: transom/v1
kind: Cluster
metadata: {name: home}
spec:
  api:
    endpoints: ["https://192.0.2.11:8006"]
    token: {id: "transom@pve!transom", secret: {env: TOKEN}}
    fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
  ssh: {key: {file: /nowhere/key}}
"""
_NODE = """apiVersion: transom/v1
kind: Node
metadata: {{name: {name}}}
spec:
  cluster: home
  ssh:
    address: {name}.example.net
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5
---
"""
_VM = """apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: vm-{name}}}
spec:
  node: {name}
  hardware: {{name: vm-{name}, memory: {memory}, cores: 2}}
"""
_POLICY = """apiVersion: transom/v1
kind: Policy
metadata: {{name: all}}
spec:
  mode: {mode}
  limits: {{impact: guest-restart, fleet_drift_percent: {percent}}}
{extra}"""


@pytest.fixture
def new_fleet(tmp_path: pathlib.Path) -> Iterator[Callable[..., Fleet]]:
    """Makes a fleet of nodes with these names."""
    made: list[Fleet] = []

    def fleet(*names: str) -> Fleet:
        made.append(Fleet(tmp_path, names or ("pve1",)))
        return made[-1]

    yield fleet
    for one in made:
        for node in one.nodes.values():
            if node.hangs is not None:
                node.hangs.set()
        one.stop()
