"""What is read of a host, one file a probe: a read-only shell command and the parser of its answer."""

from __future__ import annotations

from typing import Any

from transom.host import probe
from transom.host.probes import (
    boot,
    esp,
    files,
    guests,
    hardware,
    identity,
    iomem,
    keeping,
    modules,
    options,
    packages,
    pci,
    rom_users,
    roms,
    sysctl,
    usb,
    vmlist,
)


def all_probes(node: str) -> tuple[probe.Probe[Any], ...]:
    """The probes of one node; ``node`` is its name in PVE."""
    return (
        identity.PROBE,
        boot.PROBE,
        esp.PROBE,
        files.PROBE,
        modules.PROBE,
        options.PROBE,
        pci.PROBE,
        packages.PROBE,
        hardware.PROBE,
        guests.make(node),
        vmlist.make(node),
        roms.PROBE,
        rom_users.PROBE,
        usb.PROBE,
        sysctl.PROBE,
        iomem.PROBE,
        keeping.PROBE,
    )
