"""Who holds the memory of PCI devices: the lines of /proc/iomem about them and about boot framebuffers."""

from __future__ import annotations

import re

from transom.host import probe

_SHOWN = re.compile(r" *([0-9a-f]+)-([0-9a-f]+) : .*")
COMMAND = r"""
grep -E 'PCI|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|BOOTFB|efifb|vesafb|simplefb|vfio' /proc/iomem
"""


def parse(body: bytes) -> str:
    """The lines as they stand. ValueError when addresses are hidden, as from anyone but root."""
    text = body.decode("utf-8", "replace")
    for line in text.splitlines():
        if _SHOWN.fullmatch(line) is None:
            raise ValueError(f"{line[:80]!r} is no range")
    if not any(int(end, 16) for _, end in _SHOWN.findall(text)):
        raise ValueError("the addresses in /proc/iomem are hidden")
    return text


PROBE = probe.Probe("iomem", COMMAND, parse)
