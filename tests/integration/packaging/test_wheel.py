"""The wheel carries everything that the program reads, and works away from the checkout."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATA = (
    "transom/config/examples/seed.yaml",
    "transom/config/recipes/igd-legacy-seabios.yaml",
    "transom/lab/pve/qemu-devices.txt",
    "transom/ssh/files.sh",
    "transom/store/migrations/versions/0001_first.py",
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("transom-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("path", DATA)
def test_data_is_inside(unpacked, path):
    assert (unpacked / path).is_file()


def test_nothing_else_is_inside(unpacked):
    assert {path.name.split("-")[0] for path in unpacked.iterdir()} == {"transom"}


def test_the_command_works_from_the_wheel_alone(unpacked, tmp_path):
    code = "import transom, sys; assert transom.__file__.startswith(sys.argv[1]); from transom.cli import main; main.main()"
    example = unpacked / "transom/config/examples/seed.yaml"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code.replace("sys.argv[1]", repr(str(unpacked))),
            "validate",
            "-f",
            str(example),
            "--json",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["valid"] is True
