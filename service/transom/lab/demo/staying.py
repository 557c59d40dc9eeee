"""From nothing to the end: the lab, the daemon, the showing; then everything stays until somebody says that it is enough."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from transom import errors, resources, stopping
from transom.lab import control, fleet, supervisor
from transom.lab.demo import asking, keeping, place, serving, showing

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OTHERS = 2
"""VMs of somebody else's on each node: they stay as they are."""


def run(folder: pathlib.Path, *, once: bool, print_line: Callable[[str], None]) -> None:
    """The fleet's demo in ``folder``, which is removed at the end of a good showing. Unless ``once``, lab and daemon stay until
    Ctrl-C. VerifyFailed when anything is not as it must be; KeyboardInterrupt when it is interrupted before its end."""
    place.fresh(folder)
    show = showing.Show(print_line)
    with _interrupted_once():
        try:
            _play(folder, show, once=once)
        except errors.TransomError:
            show.plain(f"\nWhat is left to look at: {_near(folder)}/{place.LOG}, {_near(folder)}/{place.LAB}")
            raise
        shutil.rmtree(folder)


def _play(folder: pathlib.Path, show: showing.Show, *, once: bool) -> None:
    machines = supervisor.machines([resources.examples_dir() / keeping.DOCUMENT], "seed")
    show.title(
        f"A lab of {len(machines)} nodes with real SSH and a Proxmox API, and `transom serve` beside it, on loopback"
    )
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(serving.started(folder, keeping.SETTINGS))
        lab = stack.enter_context(fleet.start(folder / place.LAB, nodes=machines, vms=_OTHERS))
        stack.callback(daemon.stop)  # before its nodes go
        for cluster, names in lab.clusters().items():
            show.say(f"cluster {cluster}: {', '.join(names)} are up, each with {_OTHERS} VMs of others")
        daemon.wait()
        show.say(f"the daemon answers at {daemon.url}")
        api = stack.enter_context(contextlib.closing(asking.Api(daemon.url, daemon.token)))
        events = api.listen()
        keeping.Keeping(lab, daemon, api, events, show).play()
        show.plain(f"\nAll of it worked, in {show.seconds:.0f} s.")
        if not once:
            stay(folder, lab, daemon, events, show)


def stay(
    folder: pathlib.Path, lab: fleet.Fleet, daemon: serving.Daemon, events: asking.Events, show: showing.Show
) -> None:
    """Until Ctrl-C, or `transom lab down`."""
    stop = stopping.Stop()
    server = control.Server(lab.folder, lambda request: supervisor.answer(lab, stop, request))
    try:
        show.plain(to_try(folder, daemon.url))
        with contextlib.suppress(KeyboardInterrupt):
            show.stay(daemon, events, stop.is_set)
        show.plain("\nStopping the daemon and the lab …")
    finally:
        server.close()


def to_try(folder: pathlib.Path, url: str) -> str:
    """What one can type while all of it stays."""
    near = _near(folder)
    lab = f"--dir {near}/{place.LAB}"
    activate = "" if shutil.which("transom") else f"  . {_near(pathlib.Path(sys.prefix))}/bin/activate\n"
    return f"""
Daemon and lab stay until Ctrl-C, and what happens is told here. In another terminal, in this folder:

{activate}  export TRANSOM_STATE={near}/{place.STATE}
  transom status; transom node ls; transom drift; transom run ls
  transom adopt pve3 --take-over      # allows what was refused: the line of somebody else's is commented out
  transom lab break {lab}      # every way to break a node
  transom lab break {lab} vga-changed pve1

The last is found within {keeping.SCAN} s and put right; a third time within a day it is held as `fighting`. The API is {url},
its token (scope approver) in {near}/{place.TOKEN}:

  curl -H "Authorization: Bearer $(cat {near}/{place.TOKEN})" {url}/v1/nodes
"""


def _near(path: pathlib.Path) -> str:
    """As one would type it here."""
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown


@contextlib.contextmanager
def _interrupted_once() -> Iterator[None]:
    """Ctrl-C, SIGTERM or SIGHUP end the block by KeyboardInterrupt, once: what follows is the way down, which a second one must not
    cut off."""
    before = {number: signal.getsignal(number) for number in _ENDS}

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        for one in _ENDS:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in _ENDS:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
