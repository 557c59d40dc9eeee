"""Which ROM files the running QEMUs were started with: a configuration may say something else by now."""

from __future__ import annotations

import posixpath
import re

from transom.host import probe

# ``romfile=`` whatever the file is called, and names in ``.rom`` that a VM's ``args`` give otherwise (``-option-rom``, JSON).
# PVE keeps a QEMU's process id there (qemu-server, PVE::QemuServer::Helpers::pidfile_name). A file whose process is gone is stale.
COMMAND = r"""
for path in /run/qemu-server/[0-9]*.pid; do
  [ -f "$path" ] && read -r pid <"$path" || continue
  [ -d "/proc/$pid" ] || continue
  vmid=${path##*/}
  printf '%s %s\n' "${vmid%.pid}" "$pid"
  set -- "$@" "/proc/$pid/cmdline"
done
echo
[ "$#" -eq 0 ] && exit 0
grep -zHZaoE 'romfile=[^,"]+|[^/,="]+\.rom' -- "$@"
[ "$?" -le 1 ]
"""
_PATH = re.compile(r"/proc/(\d+)/cmdline")


def parse(body: bytes) -> dict[str, tuple[int, ...]]:
    """File name → VMs, in ascending order."""
    head, mark, rest = body.decode("utf-8", "replace").partition("\n\n" if not body.startswith(b"\n") else "\n")
    if not mark:
        raise ValueError("the list of processes is cut off")
    vmids = dict(_process(line) for line in head.splitlines())
    found: dict[str, set[int]] = {}
    records = rest.rstrip("\n").split("\0")[:-1]
    for path, name in zip(records[::2], records[1::2], strict=True):
        matched = _PATH.fullmatch(path)
        if matched is None or int(matched[1]) not in vmids:
            raise ValueError(f"{path[:80]!r} is no process of a VM")
        found.setdefault(posixpath.basename(name.removeprefix("romfile=")), set()).add(vmids[int(matched[1])])
    return {name: tuple(sorted(users)) for name, users in sorted(found.items())}


def _process(line: str) -> tuple[int, int]:
    vmid, _, pid = line.partition(" ")
    if not (vmid.isdecimal() and pid.isdecimal()):
        raise ValueError(f"{line[:80]!r} is no VM with its process")
    return int(pid), int(vmid)


PROBE = probe.Probe("rom_users", COMMAND, parse)
