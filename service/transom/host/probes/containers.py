"""The configuration files of a node's containers, whole: what they take of the host's devices stands there in many ways."""

from __future__ import annotations

import posixpath
import shlex

from transom import model
from transom.host import packed, probe

_COMMAND = """
hash=sha256sum looked_at=''
{collect}
folder=/etc/pve/nodes/{node}
[ -d "$folder" ] && [ -r "$folder" ] && [ -x "$folder" ] || exit 3
for path in "$folder"/lxc/[0-9]*.conf; do [ -f "$path" ] && set -- "$@" "$path"; done
collect "$@"
"""


def make(node: str) -> probe.Probe[dict[int, model.Maybe[str]]]:
    """The probe for the containers of ``node``, its name in PVE."""
    return probe.Probe("containers", _COMMAND.format(collect=packed.COLLECT, node=shlex.quote(node)), parse)


def parse(body: bytes) -> dict[int, model.Maybe[str]]:
    """Id → text."""
    names = {posixpath.basename(path).removesuffix(".conf"): one.text for path, one in packed.parse(body).items()}
    return {int(name): text for name, text in sorted(names.items()) if name.isdecimal()}
