"""A PVE API alone, with no shell beside it, and a Transom that knows it by a token: everything real but the machine."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import pytest

from transom import daemon, model
from transom.guest import conf
from transom.lab.pve import control, server, world
from transom.plan import result

TOKEN = "transom@pve!transom"
IGPU = world.PciDevice("0000:00:02.0", "8086:9bc8", "030000", 1, "1849:9bc8", driver="vfio-pci")
CLUSTER = """apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: ["{url}"]
    token: {{id: "{token}", secret: {{file: {folder}/token}}}}
    fingerprint: "{fingerprint}"
{ticket}---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1}}
spec:
  cluster: home
{node}---
"""
VM = """apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  node: pve1
  vmid: {vmid}
{spec}"""
SIMPLE = "  hardware: {name: win, memory: 4096, cores: 4}\n"


class Bench:
    """The node ``pve1`` of the lab's default world, a state folder, and what a person at the node's web page could do."""

    def __init__(self, folder: pathlib.Path, served: server.Server) -> None:
        self.folder, self.served = folder, served
        self.here = served.node
        self.said: list[str] = []
        self.ticket = ""

    def put(self, spec: str = SIMPLE, *, vmid: int = 101, name: str = "win", node: str = "", more: str = "") -> None:
        text = CLUSTER.format(
            url=self.served.url,
            token=TOKEN,
            folder=self.folder,
            fingerprint=self.served.fingerprint,
            node=node,
            ticket=self.ticket,
        )
        path = self.folder / "fleet.yaml"
        path.write_text(text + VM.format(name=name, vmid=vmid, spec=spec) + more)
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            service.put([path])

    def plan(self, *, take_over: bool = False) -> result.Plan:
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            return service.propose(service.wish("pve1"), take_over=take_over)

    def apply(self, *, take_over: bool = False) -> str:
        """Plan and carry out; the run."""
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            plan = service.propose(service.wish("pve1"), take_over=take_over)
            assert not plan.held, [finding.summary for finding in plan.findings]
            return service.apply(service.wish("pve1"), approved=plan.hash, take_over=take_over)

    def facts(self) -> model.Facts:
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            return service.facts(service.wish("pve1"))

    def undo(self, run: str) -> str:
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            return service.undo(run, approved=service.propose_undo(run).hash)

    def way_back(self, run: str) -> result.Plan:
        with daemon.open_service(self.folder / "state", say=self.said.append) as service:
            return service.propose_undo(run)

    def give_root(self) -> None:
        """From now on the documents name a ticket of root's beside the token."""
        self.ticket = f"    ticket: {{user: root@pam, password: {{file: {self.folder}/password}}}}\n"

    # --- the node itself ---

    @property
    def confs(self) -> pathlib.Path:
        return self.here.place.path("etc/pve/qemu-server")

    def text(self, vmid: int = 101) -> str:
        return (self.confs / f"{vmid}.conf").read_text()

    def write(self, text: str, vmid: int = 101) -> None:
        (self.confs / f"{vmid}.conf").write_text(text)

    def set(self, vmid: int = 101, **values: str) -> None:
        """As with an editor, pending changes and snapshots left as they are."""
        parsed = conf.parse(self.text(vmid))
        self.write(conf.render(dataclasses.replace(parsed, main={**parsed.main, **values})), vmid)

    def values(self, vmid: int = 101) -> dict[str, str]:
        return conf.parse(self.text(vmid)).persisted()

    def start(self, vmid: int = 101) -> None:
        control.start(self.here, vmid)

    @property
    def vmids(self) -> set[int]:
        return {int(path.stem) for path in self.confs.glob("*.conf")}


@pytest.fixture
def lab_world() -> world.World:
    return world.lab_world(pci=(IGPU,), root_password="correct horse")


@pytest.fixture
def bench(tmp_path: pathlib.Path, lab_world: world.World) -> Iterator[Bench]:
    (tmp_path / "token").write_text(lab_world.credentials()["tokens"][TOKEN])
    (tmp_path / "password").write_text("correct horse")
    served = server.serve(lab_world, tmp_path / "node", 0)
    yield Bench(tmp_path, served)
    served.close()


@pytest.fixture
def bench_of() -> type[Bench]:
    """For worlds of another make."""
    return Bench
