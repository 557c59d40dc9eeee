"""A lab API in process, reached over TLS as in the field."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

import pytest

from transom.lab.pve import server, world
from transom.spec import wish

PASSWORD = "a root's password"
TOTP = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@dataclasses.dataclass
class Site:
    """A running API, its root folder, and a folder for secrets."""

    api: server.Server
    root: pathlib.Path
    folder: pathlib.Path

    def access(self, **changes: object) -> wish.Access:
        """As root@pam with a second factor, unless ``changes`` say otherwise."""
        (self.folder / "password").write_text(PASSWORD)
        (self.folder / "totp").write_text(TOTP)
        ref = wish.TicketRef(
            "root@pam",
            wish.SecretRef(file=str(self.folder / "password")),
            wish.SecretRef(file=str(self.folder / "totp")),
        )
        plain = wish.Access(
            endpoints=(self.api.url,),
            token_id="",
            token_secret=wish.SecretRef(),
            fingerprint=self.api.fingerprint,
            ca="",
            ssh_host="",
            ssh_port=22,
            ssh_user="root",
            ssh_key=wish.SecretRef(),
            ssh_host_key="",
            ticket=ref,
        )
        return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def serve(tmp_path: pathlib.Path) -> Iterator[Callable[..., Site]]:
    """Starts an API of one node with the given changes to the lab's world."""
    running: list[server.Server] = []

    def start(**changes: object) -> Site:
        users = (world.User("root@pam", PASSWORD, TOTP), world.User("transom@pve"))
        state = dataclasses.replace(world.lab_world(), **{"users": users, "delay": 0.0, **changes})  # type: ignore[arg-type]
        root, folder = tmp_path / "root", tmp_path / "secrets"
        root.mkdir()
        folder.mkdir()
        running.append(server.serve(state, root))
        return Site(running[-1], root, folder)

    yield start
    for one in running:
        one.close()
