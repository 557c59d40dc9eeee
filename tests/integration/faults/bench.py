"""A node whose VMs are the lab API's files, a store, and jobs on them over a line that breaks."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import io
import pathlib
import random
import types

from transom import errors
from transom.guest import conf, identity
from transom.lab.pve import access, install, power, qm, tasks, world
from transom.lab.pve import node as lab_node
from transom.pve import client, outside
from transom.reconcile import backend, job, papers
from transom.reconcile import world as w
from transom.spec import bundle, wish
from transom.ssh import pump
from transom.store import store

NAME = "pve1"
DOCUMENTS = """apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: ["https://192.0.2.11:8006"]
    token: {{id: "transom@pve!transom", secret: {{file: {secret}}}}}
    fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
{cluster_ssh}
---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1}}
spec:
  cluster: home
{node_ssh}
---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: desk}}
spec:
  node: pve1
  hardware:
    name: desk
    memory: {memory}
    cores: 2
    cpu: {cpu}
    disks: {{scsi0: {{storage: local-lvm, size: 4G}}}}
{raw}
"""
SSH = {
    "cluster_ssh": "  ssh: {{key: {{file: /nowhere/key}}}}",
    "node_ssh": "  ssh: {{address: 192.0.2.11, host_key: ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5}}",
    "raw": '  raw: {{args: "-smbios type=11,value={serial}"}}',
}
NO_SSH = {"cluster_ssh": "", "node_ssh": "", "raw": '  raw: {{description: "serial {serial}"}}'}


class Confs(collections.abc.Mapping[int, str]):
    """The VMs' configurations, as files of the API's root."""

    def __init__(self, here: lab_node.Node) -> None:
        self._here = here

    def __getitem__(self, vmid: int) -> str:
        path = self._here.place.config(vmid)
        if not path.exists():
            raise KeyError(vmid)
        return path.read_text()

    def __iter__(self):
        return iter(self._here.place.vmids())

    def __len__(self) -> int:
        return len(self._here.place.vmids())


@dataclasses.dataclass
class Clock:
    """Moves when somebody sleeps, and a little with each look at it."""

    at: float = 1_800_000_000.0

    def __call__(self) -> float:
        self.at += 0.001
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Bench:
    """``line`` and ``fakes`` are the modules of the tests' own parts."""

    def __init__(
        self, folder: pathlib.Path, seed: int, line: types.ModuleType, fakes: types.ModuleType, *, shell: bool = True
    ) -> None:
        self.rng, self.clock, self.folder = random.Random(seed), Clock(), folder
        self.killed = line.Killed
        root, state = folder / "node", dataclasses.replace(world.lab_world(NAME), delay=0)
        place = install.install(state, root, NAME)
        self.tasks = line.Slow(place, self.rng)
        self.here = lab_node.Node(state, place, self.tasks, {NAME: root})
        self.api = line.Api(self.here)
        self.line = line.Line(self.api, self.rng)
        (folder / "secret").write_text(state.tokens[0].secret)
        self._shell = shell
        self.host = _host(fakes, self.here) if shell else w.NoShell(NAME)
        self.store = store.open_store(folder)
        self._papers = papers.Papers(self.store)
        self._connector = client.Connector(
            outside.Outside(now=self.clock, wall=self.clock, sleep=self.clock.sleep, chance=self.rng.random)
        )
        self._nonces = iter(f"{number:016x}"[::-1] for number in range(1, 1 << 30))

    def close(self) -> None:
        self.store.close()

    def declare(self, **values: object) -> None:
        given = {"secret": self.folder / "secret", "serial": "a", **values}
        parts = {name: text.format(**given) for name, text in (SSH if self._shell else NO_SSH).items()}
        texts = DOCUMENTS.format(**given, **parts)
        own = self._papers.parse([backend.Text("fleet.yaml", texts)])
        self.store.put_documents([bundle.dump(item) for item in own], self.clock())

    def wish(self) -> wish.NodeWish:
        return self._papers.need(NAME)

    def job(self) -> job.Job:
        """As after a start of the daemon: nothing is known but what the store has."""
        found = self.wish()
        api = self._connector.connect(found.access, transport=self.line)
        return job.Job(
            found,
            w.World(
                node=NAME, host=self.host, api=api, connect=lambda: self.host, now=self.clock, sleep=self.clock.sleep,
                nonce=lambda: next(self._nonces), say=lambda _: None, read=lambda _: b"", monotonic=self.clock,
            ),
            self.store,
        )  # fmt: skip

    def turn(self) -> bool:
        """One turn of the node; whether it was as declared. Nothing may come of it but an error of the tree."""
        one = self.job()
        try:
            one.close_interrupted()
            plan = one.propose()
            if not plan.empty:
                one.apply(plan.hash)
        except (errors.TransomError, self.killed):
            return False
        finally:
            one.world.api.close()
        return plan.empty

    def start_vm(self, vmid: int) -> None:
        quiet = tasks.Tasks(self.here.place, background=False)
        quiet.start("qmstart", str(vmid), access.ROOT, lambda log: power.start(self.here, vmid, log))
        assert not quiet.last_error, quiet.last_error

    def ours(self) -> list[int]:
        """VMs with our document's mark."""
        confs = Confs(self.here)
        return [vmid for vmid in confs if identity.marked(conf.parse(confs[vmid])) == "desk"]


def _host(fakes: types.ModuleType, here: lab_node.Node):
    """The fakes' shell, whose VMs are the API's files, and which has ``qm``."""

    class Host(fakes.Host):
        def run(self, argv, **options):
            if argv[0] != "qm":
                return super().run(argv, **options)
            said, wrong = io.StringIO(), io.StringIO()
            quiet = dataclasses.replace(here, tasks=tasks.Tasks(here.place, background=False))
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
                code = qm.run(quiet, list(argv[1:]))
            return pump.Completed(code, said.getvalue().encode(), wrong.getvalue().encode())

    node = fakes.Node(NAME)
    node.confs = Confs(here)
    return Host(node)
