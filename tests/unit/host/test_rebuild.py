"""The boot menu is replaced by a whole one or not at all: the very command, in a folder of its own with another grub-mkconfig."""

from __future__ import annotations

import os
import pathlib
import shlex
import stat
import subprocess

import pytest

from transom import model
from transom.host import rebuild

OLD, NEW = "menuentry 'old' {}\n", "menuentry 'new' {}\n"
WRITES = 'printf "%s\\n" "menuentry \'new\' {}" >"$2"'


class Grub:
    """``/boot/grub`` below ``folder``."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.boot, self.tools = folder / "grub", folder / "bin"
        self.boot.mkdir()
        self.tools.mkdir()
        self.cfg = self.boot / "grub.cfg"
        self.cfg.write_text(OLD)
        self.cfg.chmod(0o440)

    def run(self, tool: str) -> int:
        mkconfig = self.tools / "grub-mkconfig"
        mkconfig.write_text(f"#!/bin/sh\n{tool}\n")
        mkconfig.chmod(0o755)
        line = rebuild.USUAL[model.Step.BOOTCONFIG].replace("/boot/grub", str(self.boot))
        env = {"PATH": f"{self.tools}:{os.environ['PATH']}"}
        return subprocess.run(shlex.split(line), env=env, check=False).returncode

    def here(self) -> list[str]:
        return sorted(path.name for path in self.boot.iterdir())


@pytest.fixture
def grub(tmp_path):
    return Grub(tmp_path)


def test_a_whole_menu_takes_the_place_with_the_mode_of_the_old_one(grub):
    before = grub.cfg.stat().st_ino
    assert grub.run(WRITES) == 0
    assert (grub.cfg.read_text(), stat.S_IMODE(grub.cfg.stat().st_mode)) == (NEW, 0o440)
    assert grub.cfg.stat().st_ino != before, "in one moment, not written over"
    assert grub.here() == ["grub.cfg"]


@pytest.mark.parametrize(
    "tool",
    [
        'printf half >"$2.new"; exit 1',
        f"{WRITES}; exit 1",
        "exit 0",
    ],
)
def test_what_is_not_whole_leaves_the_old_one(grub, tool):
    assert grub.run(tool) != 0
    assert grub.cfg.read_text() == OLD
    assert grub.here() == ["grub.cfg"]


def test_cut_off_at_its_end_the_old_one_stands_and_the_next_one_clears_up(grub):
    assert grub.run(f"{WRITES}; kill -9 $PPID") != 0
    assert grub.cfg.read_text() == OLD
    assert grub.run(WRITES) == 0
    assert (grub.cfg.read_text(), grub.here()) == (NEW, ["grub.cfg"])


def test_a_menu_that_lies_elsewhere_stays_there(grub):
    elsewhere = grub.boot.parent / "real.cfg"
    grub.cfg.rename(elsewhere)
    grub.cfg.symlink_to(elsewhere)
    assert grub.run(WRITES) == 0
    assert grub.cfg.is_symlink()
    assert elsewhere.read_text() == NEW
    grub.cfg.unlink()
    assert grub.run(WRITES) == 0, "the first one of all"
    assert grub.cfg.read_text() == NEW
