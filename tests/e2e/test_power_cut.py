"""The power goes at a moment of an apply, or of what follows: the machine always boots, and the next run ends where it should.

What the guest had in memory is lost, and of what was in the disk's write cache, which the disk was just flushing, each 4 KiB is
kept or lost by the dice (``bed.power``). A seed says when, what is lost, and whether its user then goes on or back. ``make e2e``
has seeds 1 to 3, ``make e2e-long`` all; each leaves a line in ``power-cuts.log`` in the cache folder.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import time
from collections.abc import Iterator

import pytest

from bed import cache, follow, images, machine, needs, subject

pytestmark = needs.MARKS

FIRST, ALL = 3, 30
STEP = 1800
"""Seconds that one step may take on a busy machine."""
FILLED = 20
"""Seconds to wait for something in the write cache: ext4 commits every five, if there is anything."""
MORE = 2
"""Seconds that it fills further."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """When this share of the steps has begun, and the disk has been written or flushed so many times more."""

    share: float
    writes: int
    back: bool

    @classmethod
    def of(cls, seed: int) -> Moment:
        """Spread evenly over the run by the seed, whatever the dice: three in a row are its beginning, middle and end."""
        dice = random.Random(f"moment {seed}")
        return cls((seed % 3 + dice.random()) / 3, dice.randrange(60), dice.random() < 0.5)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a machine to which nothing was done."""
    folder = tmp_path_factory.mktemp("before")
    with images.grub(folder / "machine") as node, subject.serve(node, folder / "transom") as one:
        return one.files()


@pytest.fixture
def host(seed: int, tmp_path: pathlib.Path) -> Iterator[subject.Subject]:
    with (
        images.grub(tmp_path / "machine", random.Random(seed)) as node,
        subject.serve(node, tmp_path / "transom") as one,
    ):
        yield one


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.long] if seed > FIRST else []) for seed in range(1, ALL + 1)]
)
def test_the_power_goes(host: subject.Subject, seed: int, before: dict[str, str]) -> None:
    moment = Moment.of(seed)
    under_way = follow.Command(host.command("apply", "-f", str(host.declare(**subject.GIVEN_AWAY)), "--yes"), host.env)
    try:
        where = reach(moment, under_way, host.node)
        lost = host.node.power_cut()
        started = time.monotonic()
        host.node.power_on()
        host.node.up()
        booted = time.monotonic() - started
        under_way.wait(subject.LIMIT)
    finally:
        under_way.stop()

    if moment.back:
        host.transom("apply", "-f", str(host.declare()), "--yes")
        assert host.driver() == "bochs-drm"
        assert host.files() == before
    else:
        host.transom("apply", "-f", str(host.declare(**subject.GIVEN_AWAY)), "--yes")
        assert host.driver() == "vfio-pci"
        assert set(subject.GIVEN_AWAY["kernel_cmdline"]) <= set(host.node.ssh("cat /proc/cmdline").split())
        host.transom("plan", "--detailed-exitcode")
    ended = "went back to the byte" if moment.back else "converged"
    note(f"seed {seed:2}: cut {where}; {lost}; booted in {booted:.0f} s; {ended}")


def reach(moment: Moment, command: follow.Command, node: machine.Machine) -> str:
    """Waits for the moment; says where it was. The end of the run is one, too."""
    assert node.cache
    assert command.until(lambda: command.step[1] > 0, STEP), command.text
    wanted = int(moment.share * command.step[1]) + 1
    command.until(lambda: command.step[0] >= wanted, wanted * STEP)
    until = node.cache.written + moment.writes
    step = command.step
    command.until(lambda: node.cache.written >= until or command.step != step, STEP)
    if node.fill_cache(FILLED):
        time.sleep(MORE)
    told = next((line for line in reversed(command.said) if line.startswith("[")), "")
    return f"{node.cache.written - until + moment.writes} writes after {told!r}"


def note(line: str) -> None:
    """Keeps it beside the images, where a folder of a test would be cleared away."""
    with (cache.ROOT / "power-cuts.log").open("a") as log:
        log.write(line + "\n")
