"""The node's side of a rollback in a private root: real sh and coreutils, and the power taken away before any step."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest

from transom.reconcile import deadman

ESP = "2A13-C6F9"
FAKES = {
    "systemctl": '[ "$1" != stop ] || exit 0; echo "$*" >>/cut/asked; [ ! -d /start ] || . /cut/back; kill -9 -1',
    "mountpoint": '[ -f "$2/.mounted" ]',
    "journalctl": "echo the failed boot of $(cat /proc/sys/kernel/random/boot_id)",
    "mount": 'for last; do :; done; [ "$1" = -t ] || exit 1; [ -L "$last" ] || { rmdir "$last"; ln -s /esp "$last"; }',
}
_STEP = """#!/bin/sh
read -r n </cut/count; n=$((n + 1)); echo $n >/cut/count
read -r at </cut/at
[ $n != "$at" ] || { kill -9 -1; kill -9 $$; }
exec /usr/bin/NAME "$@"
"""


@dataclasses.dataclass(frozen=True)
class Small:
    """A folder that is a file system of its own, of that many bytes."""

    folder: str
    size: int
    full: bool = False

    def mounts(self, root: pathlib.Path) -> tuple[str, ...]:
        (root / "cut/back").write_text(f"find /start -mindepth 1 -delete; cp -a {self.folder}/. /start\n")
        (root / "start").mkdir(exist_ok=True)
        return ("--bind", f"{root}{self.folder}", "/start", "--size", str(self.size), "--tmpfs", self.folder)

    @property
    def filled(self) -> str:
        fill = f"cat /dev/zero >{self.folder}/fill 2>/dev/null" if self.full else ":"
        return f"cp -a /start/. {self.folder} || exit; {fill}\n"


class Root:
    """A node's root folder. Each call of the script is counted in steps: what it syncs, renames, and removes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    @classmethod
    def fresh(cls, folder: pathlib.Path) -> Root:
        for name in (
            "boot/grub",
            "etc/modprobe.d",
            "etc/systemd/system",
            "root",
            "run",
            "var/lib",
            "cut",
            "fake",
            "tmp",
        ):
            (folder / name).mkdir(parents=True)
        for name in ("bin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        for name, text in FAKES.items():
            (folder / "fake" / name).write_text(f"#!/bin/sh\n{text}\n")
        for name in ("sync", "mv", "rm", "touch"):
            (folder / "fake" / name).write_text(_STEP.replace("NAME", name))
        for path in (folder / "fake").iterdir():
            path.chmod(0o755)
        return cls(folder)

    def copy(self, folder: pathlib.Path) -> Root:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Root(folder)

    def write(self, path: str, text: str, mtime: float = 1_700_000_000.25) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        os.utime(place, (mtime, mtime))

    def script(
        self,
        *args: str,
        boot: str,
        cut: int = 0,
        stdin: bytes = b"",
        small: Small | None = None,
        read_only: bool = False,
        before: str = "",
    ) -> str:
        """What it prints; killed before step ``cut``, with everything that it had started. ``before``: shell to run first."""
        root = self.folder
        shutil.rmtree(root / "run")
        (root / "run").mkdir()
        (root / "cut/count").write_text("0\n")
        (root / "cut/at").write_text(f"{cut}\n")
        (root / "cut/boot").write_text(f"{boot}\n")
        words = "bwrap --unshare-user --uid 0 --gid 0 --unshare-pid --die-with-parent"
        command = [
            *words.split(),
            *(
                "--ro-bind" if read_only else "--bind",
                str(root),
                "/",
                "--ro-bind",
                "/usr",
                "/usr",
                "--dev",
                "/dev",
                "--proc",
                "/proc",
            ),
            *("--dir", "/dev/disk/by-uuid", "--symlink", "/esp", f"/dev/disk/by-uuid/{ESP}"),
            *("--ro-bind", str(root / "cut/boot"), "/proc/sys/kernel/random/boot_id"),
            *("--bind", str(root / "cut"), "/cut", "--bind", str(root / "run"), "/run"),
            *(small.mounts(root) if small else ()),
            *("--setenv", "TMPDIR", "/nowhere"),  # a full or read-only disk has no room for temporary files
            *("--setenv", "PATH", "/fake:/usr/bin:/usr/sbin", "--", "/bin/sh", "-c"),
            *(before + (small.filled if small else "") + deadman.SCRIPT, "sh", *args),
        ]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
        return done.stdout.decode() + done.stderr.decode()

    @property
    def steps(self) -> int:
        return int((self.folder / "cut/count").read_text())

    @property
    def reboots(self) -> int:
        asked = self.folder / "cut/asked"
        return asked.read_text().count("reboot") if asked.exists() else 0

    def state(self) -> dict[str, tuple[str, int, int]]:
        """Path → hash, mode and time of all that boots the node or configures it."""
        found = {}
        for top in ("boot", "etc", "esp", "root"):
            for path in sorted((self.folder / top).rglob("*")):
                if path.is_file():
                    one = path.stat()
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    found[str(path.relative_to(self.folder))] = (digest, one.st_mode, one.st_mtime_ns)
                else:
                    found[str(path.relative_to(self.folder))] = ("folder", 0, 0)
        return found


@pytest.fixture
def small() -> type[Small]:
    return Small


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    return Root.fresh(tmp_path / "root")
