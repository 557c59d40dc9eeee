"""A lab node in a temporary folder, and where the recorded contract lies when it is beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from transom.lab.pve import access, node, routes, routing, server, tasks, world

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def contract() -> Path:
    """The folder of the recorded cases."""
    folder = SHARED / "contract"
    if not (folder / "world.json").exists():
        pytest.skip(f"the recorded contract is not there ({folder})")
    return folder


class Caller:
    """Calls the API without HTTP, as a user or token; tasks run to their end within the call."""

    def __init__(self, here: node.Node, name: str) -> None:
        self.here, self.caller = here, access.Caller(name)

    def __call__(self, method: str, path: str, **params: object) -> object:
        request = routing.Request(self.here, self.caller, {}, params)
        data = routing.dispatch(routes.TABLE, self.here, self.caller, method, request, path)
        return data.data if isinstance(data, routing.Answer) else data

    def task(self, method: str, path: str, **params: object) -> tuple[str, list[str]]:
        """(exit status, log) of the task that the call starts."""
        upid = str(self(method, path, **params))
        end = self.here.tasks.end(upid)
        assert end is not None
        return end[1], self.here.tasks.lines(upid)


IGPU = world.PciDevice("0000:00:02.0", "8086:9bc8", "030000", 1, "1849:9bc8", driver="vfio-pci")
AUDIO = world.PciDevice("0000:00:1f.3", "8086:a348", "040300", 3, driver="snd_hda_intel")


@pytest.fixture
def here(tmp_path: Path) -> node.Node:
    """A node of the fleet with an iGPU that is bound to vfio-pci."""
    from transom.lab.pve import install

    state = world.lab_world(pci=(IGPU, AUDIO), usb=(world.UsbDevice("1-1", "046d:c07e"),), root_password="secret")
    place = install.install(state, tmp_path, "pve1")
    return node.Node(state, place, tasks.Tasks(place, background=False), {"pve1": tmp_path})


@pytest.fixture
def root(here: node.Node) -> Caller:
    return Caller(here, "root@pam")


@pytest.fixture
def token(here: node.Node) -> Caller:
    return Caller(here, "transom@pve!transom")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[server.Server, httpx.Client]]:
    """A server of the lab's default world and a client that is logged in with the token."""
    state = world.lab_world(root_password="secret")
    running = server.serve(state, tmp_path, 0)
    secret = json.loads(json.dumps(state.credentials()))["tokens"]["transom@pve!transom"]
    headers = {"Authorization": f"PVEAPIToken=transom@pve!transom={secret}"}
    with httpx.Client(base_url=f"{running.url}/api2/json", verify=False, headers=headers) as client:
        yield running, client
    running.close()
