"""The keys of the machines: made with the images, known to nobody else, good on loopback only."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess


@dataclasses.dataclass(frozen=True)
class Keys:
    """``login``: private key file of root's; ``host``: the machine's public host key as ``type base64``."""

    login: pathlib.Path
    host: str


def make(folder: pathlib.Path) -> None:
    """Both key pairs as files of the folder."""
    for name in ("login", "host"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bed", "-f", str(folder / name)]
        subprocess.run(argv, check=True)


def read(folder: pathlib.Path) -> Keys:
    """What ``make`` left."""
    return Keys(folder / "login", " ".join((folder / "host.pub").read_text().split()[:2]))


def install(folder: pathlib.Path, root: pathlib.Path) -> None:
    """The folder's keys into a machine's root file system."""
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    (ssh / "authorized_keys").write_bytes((folder / "login.pub").read_bytes())
    for old in (root / "etc/ssh").glob("ssh_host_*"):
        old.unlink()
    for suffix in ("", ".pub"):
        place = root / f"etc/ssh/ssh_host_ed25519_key{suffix}"
        place.write_bytes((folder / f"host{suffix}").read_bytes())
        place.chmod(0o600)
