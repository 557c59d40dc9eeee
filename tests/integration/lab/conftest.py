"""One lab node for the tests of a module, and a client for it that is not the lab's own."""

from __future__ import annotations

import base64
import contextlib
import pathlib
from collections.abc import Callable, Iterator

import paramiko
import pytest

from transom.lab import fleet

Connect = Callable[[fleet.FleetNode], paramiko.SSHClient]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.Fleet]:
    """A lab with one node, as the article's."""
    with fleet.start(tmp_path_factory.mktemp("lab") / "lab") as running:
        yield running


@pytest.fixture
def node(lab: fleet.Fleet) -> fleet.FleetNode:
    """The node, up."""
    found = lab.node("pve1")
    if found.state != "up":
        found.power_on()
    return found


@pytest.fixture
def connect(lab: fleet.Fleet) -> Iterator[Connect]:
    """Logs in to a node with paramiko, which insists on the host key."""
    with contextlib.ExitStack() as stack:

        def log_in(node: fleet.FleetNode) -> paramiko.SSHClient:
            client = stack.enter_context(paramiko.SSHClient())
            kind, key = node.host_key.split()
            public = paramiko.PKey.from_type_string(kind, base64.b64decode(key))
            client.get_host_keys().add(f"[127.0.0.1]:{node.ssh_port}", kind, public)
            client.set_missing_host_key_policy(paramiko.RejectPolicy())
            key_file = str(lab.client_key)
            client.connect(
                "127.0.0.1", node.ssh_port, "root", key_filename=key_file, allow_agent=False, look_for_keys=False
            )
            return client

        yield log_in


@pytest.fixture
def processes() -> Callable[[str], list[str]]:
    """Command lines of this machine's processes that contain a text."""

    def look(needle: str) -> list[str]:
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found += [line] if needle in line else []
        return found

    return look
