"""Hashes of the files that QEMU finds by name, whatever they are called: a ROM need not end in ``.rom``."""

from __future__ import annotations

import posixpath
import re

from transom.host import probe

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)", re.DOTALL)
# The space of an expansion ROM is 16 MiB at most (PCI Local Bus Specification 3.0, 6.2.5.2). What is larger is read only where its
# name says that it is one: pve-qemu-kvm puts 64 MiB images for other machines into this folder.
COMMAND = r"""
cd /usr/share/kvm || exit 3
named=$(sed -n 's/.*romfile=\([A-Za-z0-9][A-Za-z0-9._+-]*\).*/\1/p' /etc/pve/qemu-server/*.conf 2>/dev/null | sort -u)
for name in $named; do set -- "$@" -o -name "$name"; done
find -L . -maxdepth 1 -type f '(' -size -16385k -o -name '*.rom' "$@" ')' -exec sha256sum -z -- '{}' +
"""


def parse(body: bytes) -> dict[str, str]:
    """File name → sha256."""
    found: dict[str, str] = {}
    for record in body.split(b"\0")[:-1]:
        matched = _LINE.fullmatch(record.decode("utf-8", "replace"))
        if matched is None:
            raise ValueError(f"{record[:80]!r} is no hash")
        found[posixpath.basename(matched.group(2))] = matched.group(1)
    return dict(sorted(found.items()))


PROBE = probe.Probe("roms", COMMAND, parse)
