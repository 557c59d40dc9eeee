"""USB devices that are plugged in."""

from __future__ import annotations

from transom.host import attributes, probe

COMMAND = """
cd /sys/bus/usb/devices || exit 3
grep -sHZ . */idVendor */idProduct
exit 0
"""


def parse(body: bytes) -> frozenset[str]:
    """``vendor:product`` in lower-case hex."""
    devices = attributes.folders(attributes.parse(body)).values()
    return frozenset(f"{one['idVendor']}:{one['idProduct']}".lower() for one in devices if len(one) == 2)


PROBE = probe.Probe("usb", COMMAND, parse)
