"""The few settings under ``/proc/sys`` that a lab node has of its own; all others are the real machine's, and read-only."""

from __future__ import annotations

import re
from pathlib import Path

DEFAULTS = {
    "sys/kernel/panic": "0",
    "sys/net/ipv4/ip_forward": "0",
    "sys/vm/nr_hugepages": "0",
    "sys/vm/overcommit_memory": "0",
    "sys/vm/swappiness": "60",
}
"""Path under ``/proc`` → what the kernel starts with."""
_LINE = re.compile(r"\s*-?\s*([^#;=\s]+)\s*=\s*(.*?)\s*", re.ASCII)


def booted(root: Path) -> dict[str, str]:
    """What they are once systemd-sysctl has read the root's own sysctl.d. Keys with dots; other forms are left out."""
    found = dict(DEFAULTS)
    folder = root / "etc/sysctl.d"
    for path in sorted(folder.glob("*.conf")) if folder.is_dir() else ():
        for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
            match = _LINE.fullmatch(line)
            key = f"sys/{match.group(1).replace('.', '/')}" if match else ""
            if match and key in found:
                found[key] = match.group(2)
    return {key: f"{value}\n" for key, value in found.items()}
