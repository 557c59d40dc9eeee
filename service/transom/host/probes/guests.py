"""The configuration files of a node's VMs, with the SHA-1 that PVE uses as digest."""

from __future__ import annotations

import posixpath
import shlex

from transom import model
from transom.host import packed, probe

_COMMAND = """
hash=sha1sum looked_at=''
{collect}
folder=/etc/pve/nodes/{node}/qemu-server
[ -d "$folder" ] && [ -r "$folder" ] && [ -x "$folder" ] || exit 3
for path in "$folder"/[0-9]*.conf; do [ -f "$path" ] && set -- "$@" "$path"; done
collect "$@"
"""


def make(node: str) -> probe.Probe[dict[int, model.GuestFile]]:
    """The probe for the VMs of ``node``, its name in PVE."""
    return probe.Probe("guests", _COMMAND.format(collect=packed.COLLECT, node=shlex.quote(node)), parse)


def parse(body: bytes) -> dict[int, model.GuestFile]:
    """vmid → file; a name that is no vmid is none of PVE's."""
    found: dict[int, model.GuestFile] = {}
    for path, one in sorted(packed.parse(body).items()):
        stem = posixpath.basename(path).removesuffix(".conf")
        if stem.isdecimal():
            found[int(stem)] = model.GuestFile(int(stem), one.text, one.digest)
    return found
