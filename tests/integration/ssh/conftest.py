"""A real OpenSSH server on loopback, unprivileged in a private root, and a shell without SSH in the same kind of root."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from patience import until
from transom import ssh
from transom.spec import wish

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def bwrap(folder: pathlib.Path) -> list[str]:
    """The machine's own files, read-only; ``folder`` and a /run of its own are writable; uid 1000 outside is the caller."""
    (folder / "lock").mkdir(exist_ok=True)
    passwd = folder / "passwd"
    passwd.write_text(f"tester:x:1000:1000::{folder}:/bin/sh\n")
    words = "bwrap --unshare-user --uid 1000 --gid 1000 --unshare-pid --die-with-parent --ro-bind / / --dev /dev --proc /proc"
    return [
        *words.split(),
        *("--tmpfs", "/run", "--bind", str(folder), str(folder), "--bind", str(folder / "lock"), "/run/lock"),
        *("--ro-bind", str(passwd), "/etc/passwd", "--chdir", str(folder), "--"),
    ]


@dataclasses.dataclass(frozen=True)
class Server:
    """A running sshd: ``folder`` is writable on it, under the same path."""

    folder: pathlib.Path
    port: int

    def public(self, name: str) -> str:
        return (self.folder / f"{name}.pub").read_text().strip()

    def access(self, *, key: str = "client", host_key: str = "host_ed25519", port: int = 0) -> wish.Access:
        return wish.Access(
            endpoints=(),
            token_id="",
            token_secret=wish.SecretRef(env="UNUSED"),
            fingerprint="",
            ca="",
            ssh_host="127.0.0.1",
            ssh_port=port or self.port,
            ssh_user="tester",
            ssh_key=wish.SecretRef(file=str(self.folder / key)),
            ssh_host_key=self.public(host_key),
        )


def _keys(folder: pathlib.Path) -> None:
    for name, kind in (
        ("client", "ed25519"),
        ("client_ecdsa", "ecdsa"),
        ("client_rsa", "rsa"),
        ("stranger", "ed25519"),
        ("host_ed25519", "ed25519"),
        ("host_rsa", "rsa"),
        ("other_host", "ed25519"),
        ("other_kind_of_host", "ecdsa"),
    ):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    own = [(folder / f"{name}.pub").read_text() for name in ("client", "client_ecdsa", "client_rsa")]
    (folder / "authorized").write_text("".join(own))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not pathlib.Path(SSHD).exists():
        pytest.skip("no sshd is installed")
    folder = tmp_path_factory.mktemp("sshd")
    _keys(folder)
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_ed25519\nHostKey {folder}/host_rsa\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "StrictModes no\nUsePAM no\nPidFile none\nMaxSessions 50\n"
    )
    with (folder / "log").open("w") as log:
        command = [*bwrap(folder), SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(port, process, folder / "log")
        yield Server(folder, port)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    until(listens, log.read_text)


@pytest.fixture
def host(server: Server) -> Iterator[ssh.Ssh]:
    with ssh.connect(server.access()) as connection:
        yield connection


class Local:
    """``script`` without SSH: the same shell and tools, for many small cases. ``path`` are folders put before PATH."""

    def __init__(self, folder: pathlib.Path, path: str = "") -> None:
        self.folder = folder
        self.path = path

    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> ssh.Completed:
        path = f"{self.path}:/usr/bin:/bin".lstrip(":")
        command = [*bwrap(self.folder), "env", f"PATH={path}", "/bin/sh", "-c", text, "sh", *args]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
        assert not (read_only and stdin)
        return ssh.Completed(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def local(tmp_path: pathlib.Path) -> Local:
    return Local(tmp_path)
