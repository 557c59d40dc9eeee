"""Names of the network interfaces, bridges among them, of whatever make: Linux, Open vSwitch, SDN."""

from __future__ import annotations

from transom.host import probe

COMMAND = """
cd /sys/class/net || exit 3
for path in *; do [ -e "$path" ] && printf '%s\\n' "$path"; done
exit 0
"""


def parse(body: bytes) -> frozenset[str]:
    """One name a line; the kernel allows no blanks in them."""
    return frozenset(body.decode("utf-8", "replace").split())


PROBE = probe.Probe("interfaces", COMMAND, parse)
