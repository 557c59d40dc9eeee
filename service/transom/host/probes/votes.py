"""How many votes the cluster has now, needs, and loses with this node. A node without corosync.conf is in no cluster."""

from __future__ import annotations

import re

from transom import model
from transom.host import probe

COMMAND = """
[ -d /etc/pve/nodes ] || exit 3
[ -f /etc/pve/corosync.conf ] || { echo none; exit 0; }
corosync-quorumtool -s
[ "$?" -le 1 ]
"""
_FIELD = re.compile(r"(Total votes|Quorum):\s+([0-9]+)")
_MEMBER = re.compile(r"\s*(\S+)\s+([0-9]+)\s+\S.*\(local\)")


def parse(body: bytes) -> model.Votes | None:
    """``corosync-quorumtool -s``: the totals, and the line of the local node. None without a cluster."""
    text = body.decode("utf-8", "replace")
    if text.strip() == "none":
        return None
    fields = dict(_FIELD.findall(text))
    local = next((match for line in text.splitlines() if (match := _MEMBER.fullmatch(line))), None)
    try:
        return model.Votes(int(fields["Total votes"]), int(fields["Quorum"]), int(local.group(2)) if local else 1)
    except KeyError as missing:
        raise ValueError(f"no line {missing.args[0]!r}") from missing


PROBE = probe.Probe("votes", COMMAND, parse)
