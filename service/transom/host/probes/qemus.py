"""Which QEMUs run: process, when each was started, and when something that a start reads was last written."""

from __future__ import annotations

import re
import shlex

from transom import model
from transom.host import probe

# PVE keeps a QEMU's process id there, written once at its start (qemu-server, PVE::QemuServer::Helpers::pidfile_name). A file whose
# process is gone is stale. stat exits with 1 where there are no mappings.
_COMMAND = r"""
folder=/etc/pve/nodes/{node}/qemu-server
for path in /run/qemu-server/[0-9]*.pid; do
  [ -f "$path" ] && read -r pid <"$path" || continue
  [ -d "/proc/$pid" ] || continue
  vmid=${{path##*/}} vmid=${{vmid%.pid}}
  printf '%s %s\n' "$vmid" "$pid"
  set -- "$@" "$path" "$folder/$vmid.conf"
done
echo
[ "$#" -eq 0 ] || stat -c '%.9Y %n' -- "$@" /etc/pve/mapping/pci.cfg
[ "$?" -le 1 ]
"""
_TIME = re.compile(r"(\d+)\.(\d{9}) (.+)")
_MAPPINGS = "/etc/pve/mapping/pci.cfg"


def make(node: str) -> probe.Probe[dict[int, model.Started]]:
    """The probe for the VMs of ``node``, its name in PVE."""
    return probe.Probe("qemus", _COMMAND.format(node=shlex.quote(node)), parse)


def parse(body: bytes) -> dict[int, model.Started]:
    """VM id → its QEMU, without its command line. One whose file or configuration has just gone is left out."""
    head, mark, rest = body.decode("utf-8", "replace").partition("\n\n" if not body.startswith(b"\n") else "\n")
    if not mark:
        raise ValueError("the list of processes is cut off")
    times = dict(_time(line) for line in rest.splitlines() if line)
    mapped = times.get(_MAPPINGS, 0)
    configs = {path.rpartition("/")[2]: when for path, when in times.items() if path.endswith(".conf")}
    found: dict[int, model.Started] = {}
    for vmid, pid in map(_process, head.splitlines()):
        since, written = times.get(f"/run/qemu-server/{vmid}.pid"), configs.get(f"{vmid}.conf")
        if since is not None and written is not None:
            found[vmid] = model.Started(pid, since, max(written, mapped))
    return found


def _time(line: str) -> tuple[str, int]:
    """Path, nanoseconds since the epoch."""
    matched = _TIME.fullmatch(line)
    if matched is None:
        raise ValueError(f"{line[:80]!r} is no time of a file")
    return matched[3], int(matched[1]) * 10**9 + int(matched[2])


def _process(line: str) -> tuple[int, int]:
    vmid, _, pid = line.partition(" ")
    if not (vmid.isdecimal() and pid.isdecimal()):
        raise ValueError(f"{line[:80]!r} is no VM with its process")
    return int(vmid), int(pid)
