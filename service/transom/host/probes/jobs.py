"""Backups, migrations and replications that run: PVE's list of active tasks, and the scheduler's replication jobs.

A line of ``tasks/active`` is a UPID and whether its task has ended; one left behind by a crash names a process that is gone.
"""

from __future__ import annotations

from transom.host import probe

COMMAND = r"""
[ ! -e /var/log/pve/tasks/active ] || while read -r upid ended rest; do
  pid=$(printf '%s' "$upid" | cut -d: -f3)
  [ "$ended" = 0 ] && [ -d "/proc/$((0x$pid))" ] && printf '%s\n' "$upid"
done </var/log/pve/tasks/active
state=/var/lib/pve-manager/pve-replication-state.json
[ ! -e "$state" ] || for pid in $(grep -o '"pid": *[0-9]*' "$state" | grep -o '[0-9]*$'); do
  [ -d "/proc/$pid" ] && printf 'replication %s\n' "$pid"
done
exit 0
"""
_KINDS = frozenset(
    {"vzdump", "qmigrate", "vzmigrate", "hamigrate", "qmrestore", "vzrestore", "qmmove", "imgcopy", "move_volume"}
)


def parse(body: bytes) -> tuple[str, ...]:
    """``vzdump of 100``, one a task. ValueError for a line that is none."""
    found: list[str] = []
    for line in body.decode("utf-8", "replace").splitlines():
        parts = line.split(":")
        if line.startswith("replication "):
            found.append(f"replication, process {line.split()[1]}")
        elif len(parts) < 8 or parts[0] != "UPID":
            raise ValueError(f"{line[:80]!r} is no task")
        elif parts[5] in _KINDS:
            found.append(f"{parts[5]} of {parts[6] or 'several'}, {line}")
    return tuple(found)


PROBE = probe.Probe("jobs", COMMAND, parse)
