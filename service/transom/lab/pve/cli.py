"""`qm`, `pvesh` and `ha-manager` of a lab node: `python -m transom.lab.pve.cli qm set 112 --args …`, as root@pam.

A process of its own over the same files as the server; TRANSOM_LAB_ROOT tells the node's root (default `/`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from transom.lab.pve import node

TOOLS = ("qm", "pvesh", "ha-manager")


def main(argv: Sequence[str]) -> int:
    if not argv or argv[0] not in TOOLS:
        print("usage: python -m transom.lab.pve.cli qm|pvesh|ha-manager COMMAND …", file=sys.stderr)
        return 255
    root = Path(os.environ.get("TRANSOM_LAB_ROOT", "/"))
    try:
        here = node.open_node(root, background=False, echo=print)
    except FileNotFoundError as error:
        print(f"no lab node below {root}: {error}", file=sys.stderr)
        return 255
    if argv[0] == "qm":
        from transom.lab.pve import qm  # each tool loads only what it needs: they are started often

        return qm.run(here, argv[1:])
    if argv[0] == "ha-manager":
        from transom.lab.pve import ha

        return ha.run(here, argv[1:])
    from transom.lab.pve import pvesh

    return pvesh.run(here, argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
