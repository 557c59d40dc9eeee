"""What neither files nor the API can do to a lab node: run a VM as its file says, stop it, hold its lock, make a ticket.

python -m transom.lab.pve.control ROOT start VMID | stop VMID | flock VMID SECONDS | ticket USER SECONDS
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from transom.lab.pve import node, power, runstate


def start(here: node.Node, vmid: int) -> None:
    """Runs the VM with the configuration that is there now, whatever the rules say."""
    power.record(here, vmid, here.load(vmid), [])


def hold(here: node.Node, vmid: int, seconds: float) -> None:
    """Holds the VM's lock in a process of its own; returns once it is held."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)
        return
    os.setsid()
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    with here.place.locked(vmid):
        os.write(writer, b"1")
        os.close(writer)
        time.sleep(seconds)
    os._exit(0)


def main(argv: list[str]) -> int:
    root, verb, *words = argv
    here = node.open_node(Path(root))
    if verb == "start":
        start(here, int(words[0]))
    elif verb == "stop":
        runstate.remove(here.place, int(words[0]))
    elif verb == "flock":
        hold(here, int(words[0]), float(words[1]))
    elif verb == "ticket":
        print(here.access.ticket(words[0], age=float(words[1])))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
