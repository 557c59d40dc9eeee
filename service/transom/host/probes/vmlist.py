"""Which VMs are on the cluster's other nodes: making one here under the same id is wrong, and fails."""

from __future__ import annotations

import json

from transom.host import probe

# A node without pmxcfs has no such file; one whose pmxcfs is down has none either, but then no VM configuration can be read.
COMMAND = "[ -d /etc/pve/nodes ] || exit 3; [ ! -e /etc/pve/.vmlist ] || cat /etc/pve/.vmlist"


def make(node: str) -> probe.Probe[dict[int, str]]:
    """``node`` is its name in PVE."""

    def parse(body: bytes) -> dict[int, str]:
        """VM id → name of another node. ValueError when it is no such list."""
        whole = json.loads(body) if body.strip() else {}
        rows = whole.get("ids", {}) if isinstance(whole, dict) else None
        if not isinstance(rows, dict) or not all(isinstance(row, dict) and "node" in row for row in rows.values()):
            raise ValueError("the list of VMs is not as pmxcfs writes it")
        return {int(vmid): str(row["node"]) for vmid, row in rows.items() if row["node"] != node}

    return probe.Probe("vmlist", COMMAND, parse)
