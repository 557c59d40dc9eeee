"""Versions of the packages that decide how passthrough behaves: PVE, QEMU, the running kernel."""

from __future__ import annotations

from transom.host import probe

COMMAND = """
IFS= read -r kernel </proc/sys/kernel/osrelease || exit 3
dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' pve-manager qemu-server pve-qemu-kvm proxmox-ve \\
  "pve-kernel-$kernel" "proxmox-kernel-$kernel" "proxmox-kernel-$kernel-signed"
[ "$?" -le 1 ]
"""
"""dpkg-query exits with 1 when one of the names is not known, which is usual here."""


def parse(body: bytes) -> dict[str, str]:
    """Name → version of what is installed (``ii``, or held: ``hi``)."""
    found: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        words = line.split()
        if len(words) == 3 and words[0][1:2] == "i":
            found[words[1]] = words[2]
        elif len(words) not in {2, 3}:
            raise ValueError(f"{line[:80]!r} is no package")
    return found


PROBE = probe.Probe("packages", COMMAND, parse)
