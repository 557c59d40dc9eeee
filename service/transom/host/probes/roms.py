"""Hashes of the ROM files that QEMU finds by name: those called so, and those that a VM of the node names."""

from __future__ import annotations

import posixpath
import re

from transom.host import probe

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)", re.DOTALL)
COMMAND = r"""
cd /usr/share/kvm || exit 3
named=$(sed -n 's/.*romfile=\([A-Za-z0-9][A-Za-z0-9._+-]*\).*/.\/\1/p' /etc/pve/qemu-server/*.conf 2>/dev/null | sort -u)
for path in ./*.rom $named; do [ -f "$path" ] && set -- "$@" "$path"; done
[ "$#" -eq 0 ] || sha256sum -z -- "$@"
"""


def parse(body: bytes) -> dict[str, str]:
    """File name → sha256."""
    found: dict[str, str] = {}
    for record in body.split(b"\0")[:-1]:
        matched = _LINE.fullmatch(record.decode("utf-8", "replace"))
        if matched is None:
            raise ValueError(f"{record[:80]!r} is no hash")
        found[posixpath.basename(matched.group(2))] = matched.group(1)
    return found


PROBE = probe.Probe("roms", COMMAND, parse)
