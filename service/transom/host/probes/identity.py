"""Which node of the cluster answers here: pmxcfs' own link, and the host name that it goes by."""

from __future__ import annotations

import posixpath

from transom.host import probe

COMMAND = """
readlink /etc/pve/local || exit 3
uname -n
"""


def parse(body: bytes) -> str:
    """The node's name in PVE. ValueError when the two do not agree: PVE itself goes by the host name up to its first dot
    (``PVE::INotify::nodename``), and pmxcfs by that of when it was started."""
    lines = body.decode("utf-8", "replace").splitlines()
    if len(lines) != 2 or not posixpath.basename(lines[0]):
        raise ValueError(f"{body[:80]!r} is no link and host name")
    linked, hostname = posixpath.basename(lines[0]), lines[1].partition(".")[0]
    if linked != hostname:
        raise ValueError(f"/etc/pve/local is {linked}, the host name is {hostname}")
    return linked


PROBE = probe.Probe("identity", COMMAND, parse)
