"""A Proxmox VE API of the lab by itself: `python -m transom.lab.pve --root DIR --port N --world world.json`.

Writes DIR/credentials.json and DIR/control, prints the address, and runs until it is told to end.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from pathlib import Path

from transom import stopping
from transom.lab.pve import server, world


def read_world(path: Path | None) -> world.World:
    """A contract's world.json, a world that was dumped, or the lab's default."""
    if path is None:
        return world.lab_world(root_password="lab-root")
    return world.contract_world(path) if "user_cfg" in json.loads(path.read_text()) else world.load(path.read_text())


def write_helpers(state: world.World, root: Path) -> None:
    (root / "credentials.json").write_text(json.dumps(state.credentials(), indent=1))
    control = root / "control"
    package = Path(__file__).resolve().parents[3]
    control.write_text(f'#!/bin/sh\nPYTHONPATH="{package}" exec "{sys.executable}" -m transom.lab.pve.control '
                       f'"{root}" "$@"\n')  # fmt: skip
    control.chmod(0o755)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m transom.lab.pve", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder that becomes the node's root")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--world", type=Path, help="world.json; default: one node of the lab")
    parser.add_argument("--delay", type=float, help="seconds that a refused login costs (a real node: 3)")
    args = parser.parse_args(argv)
    state = read_world(args.world)
    if args.delay is not None:
        state = dataclasses.replace(state, delay=args.delay)
    root = args.root.resolve()
    root.mkdir(parents=True, exist_ok=True)
    try:
        running = server.serve(state, root, args.port)
    except OSError as error:
        parser.exit(1, f"cannot serve on port {args.port}: {error.strerror}\n")
    write_helpers(state, root)
    stop = stopping.Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"{running.url}/api2/json {running.fingerprint}", flush=True)
    stop.wait_long()
    running.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
