"""The same lab for a user without any privilege: user namespaces are all that it needs."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from transom.lab import fleet

USER = pwd.getpwnam("nobody").pw_uid
SCRIPT = """
import pathlib, sys
from transom.lab import fleet
with fleet.start(pathlib.Path(sys.argv[1])) as lab:
    node = lab.node("pve1")
    print(node.ssh("id -u; touch /etc/x; chown 0:0 /etc/x; stat -c %u /etc/x; chmod 0 /etc/x; echo y >/etc/x; cat /etc/x").split())
    (node.root / "etc/modprobe.d/x.conf").write_text("blacklist i915\\noptions vfio-pci ids=8086:9bc8\\n")
    (node.root / "etc/modules").write_text("vfio_pci\\n")
    node.ssh("update-initramfs -u -k all; update-grub; qm create 100 --memory 64")
    boots = node.boots
    node.ssh("reboot")
    node.wait_boot(boots)
    print(node.ssh("basename $(readlink /sys/bus/pci/devices/0000:00:02.0/driver); qm list | tail -n 1").split()[:5])
    print((node.root / "etc/modprobe.d/x.conf").stat().st_uid)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user owns; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="pytest-unprivileged-"))
    os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


def test_an_ordinary_user_gets_the_same_lab(home: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("the whole test run is by an ordinary user already")
    python = next((path for path in (sys.executable, "/usr/bin/python3") if usable(path)), None)
    if python is None:
        pytest.skip("no Python 3.11 that another user may run")
    # a copy, since the checkout and its packages may lie where only root may look
    site = home / "site"
    source = Path(fleet.__file__).parents[1]
    shutil.copytree(source, site / "transom", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "click",
        "cryptography",
        "pydantic",
        "pydantic_core",
        "yaml",
        "_yaml",
        "annotated_types",
        "typing_inspection",
    ):
        copy_package(name, site)
    for file in ("typing_extensions", "_cffi_backend"):
        copy_package(file, site)
    done = run([python, "-c", SCRIPT, str(home / "lab")], home, site)
    assert done.stdout.splitlines() == [
        "['0', '0', 'y']",
        "['vfio-pci', '100', 'VM', '100', 'stopped']",
        str(USER),
    ], done.stderr


def usable(python: str) -> bool:
    """Whether another user may run it, and it is new enough."""
    check = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    return run(check, Path("/"), Path("/")).returncode == 0


def run(words: list[str], cwd: Path, site: Path) -> subprocess.CompletedProcess[str]:
    setpriv = [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={USER}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(cwd)}
    return subprocess.run(
        [*setpriv, *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def copy_package(name: str, site: Path) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return
    if spec.submodule_search_locations:
        shutil.copytree(spec.submodule_search_locations[0], site / name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(spec.origin, site)
