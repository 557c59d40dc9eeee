"""HA services that are active on this node, as the cluster's manager has them; none while the node is in maintenance."""

from __future__ import annotations

import json
import shlex

from transom.host import probe

_IDLE = frozenset({"stopped", "disabled", "ignored", ""})


def make(node: str) -> probe.Probe[tuple[str, ...]]:
    """``node`` is its name in PVE."""

    def parse(body: bytes) -> tuple[str, ...]:
        """``vm:100 started``, one a service. ValueError when it is no status of the manager's."""
        whole = json.loads(body) if body.strip() else {}
        services = whole.get("service_status", {}) if isinstance(whole, dict) else None
        nodes = whole.get("node_status", {}) if isinstance(whole, dict) else None
        if not isinstance(services, dict) or not isinstance(nodes, dict):
            raise ValueError("the status is not as pve-ha-manager writes it")
        if nodes.get(node) == "maintenance":
            return ()
        here = (
            (sid, one) for sid, one in sorted(services.items()) if isinstance(one, dict) and one.get("node") == node
        )
        return tuple(f"{sid} {one.get('state', '')}" for sid, one in here if one.get("state", "") not in _IDLE)

    path = "/etc/pve/ha/manager_status"
    command = f"[ -d /etc/pve/nodes/{shlex.quote(node)} ] || exit 3; [ ! -e {path} ] || cat {path}"
    return probe.Probe("ha", command, parse)
