"""What all nodes of a lab share, read-only: the host's programs, our own commands beside them, Python and this package.

``/usr`` of a node is a farm of links to the host's ``/usr`` (bound at ``/opt/lab/host``), with the lab's commands in the places
where a real node has them, so that ``update-grub`` and ``/usr/sbin/update-grub`` are the same thing.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from transom import errors

HOST = "/opt/lab/host"
PYTHON = "/opt/lab/python"
SOURCE = "/opt/lab/source"
SITE = "/opt/lab/site"
PRIVATE = ("local", "share/kvm", "lib/modules", "lib/modprobe.d", "lib/modules-load.d")
"""Folders under ``/usr`` that each node has for itself."""

PROGRAMS = ("bwrap", "sshd", "ssh-keygen", "nsenter", "setsid", "bash", "dpkg-query", "flock", "sha256sum")
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")

COMMANDS = {
    "usr/sbin": (
        "update-grub", "grub-mkconfig", "grub-editenv", "grub-reboot", "update-initramfs", "mkinitramfs", "reboot",
        "poweroff", "qm", "proxmox-boot-tool", "modprobe", "ip", "lab-timers", "ha-manager", "sysctl",
    ),
    "usr/bin": (
        "lsinitramfs", "systemctl", "pvesh", "pveversion", "efibootmgr", "lsblk", "mount", "lspci", "lsmod", "uname", "dmesg",
        "journalctl",
    ),
}  # fmt: skip


def program(name: str) -> str:
    """Absolute path of a program that the lab needs; Unreachable with the way out when it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *SBIN, "/usr/bin"))
    found = shutil.which(name, path=path)
    if found is None:
        packages = {"bwrap": "bubblewrap", "sshd": "openssh-server", "nsenter": "util-linux", "dpkg-query": "dpkg"}
        raise errors.Unreachable(
            f"the lab needs {name}, which is not installed", hint=f"install {packages.get(name, name)}"
        )
    return found


def check() -> None:
    """Unreachable when a program is missing."""
    for name in PROGRAMS:
        program(name)


def build(target: Path) -> Path:
    """Makes the farm under ``target`` anew and returns its ``usr``."""
    if target.exists():
        shutil.rmtree(target)
    usr = target / "usr"
    for folder in Path("/usr").iterdir():
        if folder.is_dir() and folder.name not in ("local", "src", "games"):
            _farm(usr / folder.name, folder)
    for private in PRIVATE:
        place = usr / private
        if place.is_symlink():
            place.unlink()
        place.mkdir(parents=True, exist_ok=True)
    _commands(target)
    return usr


def _farm(target: Path, source: Path) -> None:
    target.mkdir(parents=True)
    for entry in os.scandir(source):
        real = os.path.realpath(entry.path)
        if real.startswith("/usr/"):
            (target / entry.name).symlink_to(f"{HOST}{real.removeprefix('/usr')}")


def _commands(target: Path) -> None:
    scripts = importlib.resources.files("transom.lab") / "commands" / "bin"
    interpreter = python()[1]
    for folder, names in COMMANDS.items():
        for name in names:
            place = target / folder / name
            place.unlink(missing_ok=True)
            place.write_text((scripts / name).read_text().replace("@PYTHON@", interpreter))
            place.chmod(0o755)


def python() -> tuple[list[str], str]:
    """bwrap arguments that bring Python and this package into a node, and the interpreter's path there."""
    source = Path(__file__).parents[1]
    spec = importlib.util.find_spec("cryptography")
    if spec is None or spec.origin is None:
        raise errors.Unreachable("the lab's Python lacks the package cryptography")
    binds = ["--ro-bind", str(source), f"{SOURCE}/transom", "--ro-bind", str(Path(spec.origin).parents[1]), SITE]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = Path(sys.base_prefix).resolve()
    if prefix == Path("/usr"):
        return binds, f"{HOST}/bin/{version}"
    return [*binds, "--ro-bind", str(prefix), PYTHON], f"{PYTHON}/bin/{version}"
