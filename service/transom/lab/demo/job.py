"""The main job on the lab, as a user would type it: every line that starts with ``$`` is the real command, run for real.

Nothing here is claimed that is not checked: what a command must answer, what the node's files must hold, what runs on it.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from transom import errors, resources
from transom.lab import breaks, fleet
from transom.lab.demo import looking, place

KEPT = ("etc", "usr/share/kvm", "boot")
# Counters that PVE raises at every write, its own lock and log files, and disks, which an undo never deletes.
MOVING = ("etc/pve/.vmlist", "etc/pve/.version", "etc/pve/priv/lock")


class Demo:
    """One showing in ``folder``; ``say`` prints."""

    def __init__(self, lab: fleet.Fleet, folder: pathlib.Path, say: Callable[[str], None]) -> None:
        self.lab = lab
        self.node = lab.node("pve1")
        self.documents = lab.stage(resources.examples_dir() / "seed.yaml")
        self.env = {**os.environ, "TRANSOM_STATE": str(folder / place.STATE)}
        self.say = say

    # --- the steps ---

    def play(self) -> None:
        before = self.files()
        self.title(f"A node: PVE {self.pve_version()}, {looking.IGPU} driven by {self.driver()}")
        self.transom("validate", "-f", self.documents)
        self.transom("plan", "-f", self.documents, "--detailed-exitcode", expect=2)
        self.title("Apply: host settings, reboot, option ROM, VM")
        self.transom("apply", "-f", self.documents, "--yes")
        self.check(self.driver() == "vfio-pci", f"{looking.IGPU} is driven by vfio-pci")
        self.settled()
        first = self.runs()[0]["id"]
        self.show_vm()
        self.broken_and_repaired()
        self.title("Undo everything")
        self.transom("undo", first, "--yes")
        self.check(self.driver() == "i915", f"{looking.IGPU} is driven by i915 again")
        self.check_same(before, self.files())

    def broken_and_repaired(self) -> None:
        self.title("Break one thing on the host and one in the VM")
        for kind in ("grub-dropin-removed", "vm-edited-in-ui"):
            done = breaks.find(kind).apply(self.lab, self.node)
            self.say(f"$ transom lab break {kind} pve1\n{done}")
        self.transom("plan", "--detailed-exitcode", expect=2)
        self.transom("apply", "--yes")
        self.settled()

    def settled(self) -> None:
        self.title("A second plan is empty")
        self.transom("plan", "--detailed-exitcode", expect=0)

    # --- looking ---

    def files(self) -> dict[str, str]:
        return looking.hashes(self.node.root, KEPT, without=MOVING)

    def driver(self) -> str:
        return looking.driver(self.node)

    def pve_version(self) -> str:
        return self.node.ssh("pveversion").strip().split("/")[1]

    def show_vm(self) -> None:
        self.title("The VM's configuration on the node")
        text = (self.node.root / "etc/pve/qemu-server/112.conf").read_text()
        self.say("".join(f"    {line}\n" for line in text.splitlines()).rstrip())
        for want in (
            "vga: none",
            "hostpci0: 0000:00:02.0,legacy-igd=1,romfile=igd-",
            "args: -set device.hostpci0.addr=02.0",
        ):
            self.check(f"\n{want}" in text, f"it has {want}…", quiet=True)

    def runs(self) -> list[dict[str, str]]:
        done = subprocess.run(
            [*self.program(), "run", "ls", "--json"], env=self.env, check=True, capture_output=True, text=True
        )
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    # --- doing ---

    @staticmethod
    def program() -> list[str]:
        return [sys.executable, "-m", "transom"]

    def transom(self, *words: str | pathlib.Path, expect: int = 0) -> None:
        """Run the command, let its output through, and insist on its exit code."""
        shown = [os.path.relpath(word) if isinstance(word, pathlib.Path) else word for word in words]
        self.say(f"$ transom {shlex.join(shown)}")
        done = subprocess.run([*self.program(), *map(str, words)], env=self.env, check=False, stderr=subprocess.STDOUT)
        self.check(
            done.returncode == expect, f"exit code {done.returncode}, wanted {expect}", quiet=done.returncode == expect
        )

    def title(self, text: str) -> None:
        self.say(f"\n=== {text}")

    def check(self, good: bool, what: str, *, quiet: bool = False) -> None:
        if not good:
            raise errors.VerifyFailed(f"the demo failed: {what}")
        if not quiet:
            self.say(f"✓ {what}")

    def check_same(self, before: dict[str, str], after: dict[str, str]) -> None:
        differ = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        self.check(
            not differ,
            f"{len(after)} files of the node are byte-identical to before" + "".join(f"\n  {p}" for p in differ),
        )


def run(folder: pathlib.Path, *, once: bool, say: Callable[[str], None], wait: Callable[[], None]) -> None:
    """Play the demo in a fresh lab in ``folder``; unless ``once``, leave the lab up until ``wait`` returns. VerifyFailed when
    anything is not as it must be. The folder is removed at the end of a good showing."""
    place.fresh(folder)
    started = time.monotonic()
    with fleet.start(folder / place.LAB) as lab:
        demo = Demo(lab, folder, say)
        demo.play()
        say(f"\nAll of it worked, in {time.monotonic() - started:.0f} s.")
        if not once:
            say(f"The lab stays up until Ctrl-C. Try: TRANSOM_STATE={folder}/state {sys.executable} -m transom plan -v")
            wait()
    shutil.rmtree(folder)
