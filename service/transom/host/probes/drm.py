"""Which PCI function each node of ``/dev/dri`` belongs to. Numbers are of this boot: they follow the order of probing."""

from __future__ import annotations

import re

from transom.host import probe

_NODE = re.compile(r"(?:card|renderD)\d+")
_PCI = re.compile(probe.PCI_FUNCTION)
COMMAND = r"""
[ -d /sys/class/drm ] || exit 0
exec find /sys/class/drm -maxdepth 1 -type l -printf '%f %l\n'
"""


def parse(body: bytes) -> dict[str, str]:
    """``card0``, ``renderD128`` → address; connectors (``card0-DP-1``) and nodes off the bus are left out."""
    links = (line.split(" ", 1) for line in body.decode("utf-8", "replace").splitlines() if " " in line)
    found = {name: _PCI.findall(path) for name, path in links if _NODE.fullmatch(name)}
    return {name: functions[-1] for name, functions in sorted(found.items()) if functions}


PROBE = probe.Probe("drm", COMMAND, parse)
