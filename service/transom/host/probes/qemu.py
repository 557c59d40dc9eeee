"""One running QEMU: the words that it was started with, and those that PVE would start it with now (``qm showcmd``, as root).

Not part of the look at a node: the second command starts Perl, 0.7 s a VM, so it is asked only when something has changed.
"""

from __future__ import annotations

import shlex

from transom.host import probe

LIMIT = 20
"""Seconds for one ``qm showcmd``."""


def running(vmid: int, pid: int) -> probe.Probe[tuple[str, ...]]:
    """Its own words."""
    return probe.Probe(f"running-{vmid}", f"cat /proc/{pid}/cmdline", parse_running)


def wanted(vmid: int) -> probe.Probe[tuple[str, ...]]:
    """Of its current configuration, pending changes aside."""
    return probe.Probe(f"wanted-{vmid}", f"timeout {LIMIT} qm showcmd {vmid}", parse_wanted)


def parse_running(body: bytes) -> tuple[str, ...]:
    """The words of ``/proc/PID/cmdline``; a process that is no QEMU of this kind any more has none."""
    if not body.endswith(b"\0"):
        raise ValueError("the process has no command line")
    return tuple(body.decode("utf-8", "replace").split("\0")[:-1])


def parse_wanted(body: bytes) -> tuple[str, ...]:
    """The words of the line that ``qm showcmd`` prints, quoted as a shell wants them; PVE's remarks may stand before it."""
    lines = body.decode("utf-8", "replace").strip().splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith(("/usr/bin/", "'/usr/bin/"))), None)
    if at is None:
        raise ValueError("qm showcmd prints no command line")
    return tuple(shlex.split("\n".join(lines[at:])))
