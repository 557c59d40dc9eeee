"""What is read of a host, one file a probe: a read-only shell command and the parser of its answer."""

from __future__ import annotations

from typing import Any

from transom.host import probe
from transom.host.probes import (
    boot,
    containers,
    disks,
    dpkg,
    drained,
    drm,
    esp,
    files,
    firmware,
    guests,
    ha,
    hardware,
    identity,
    interfaces,
    iomem,
    jobs,
    keeping,
    links,
    modules,
    oneshot,
    options,
    packages,
    pci,
    qemus,
    rom_users,
    roms,
    space,
    supplies,
    sysctl,
    usb,
    vmlist,
    votes,
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
        qemus.make(node),
        usb.PROBE,
        interfaces.PROBE,
        sysctl.PROBE,
        disks.PROBE,
        links.PROBE,
        containers.make(node),
        drm.PROBE,
        votes.PROBE,
        ha.make(node),
        jobs.PROBE,
        dpkg.PROBE,
        space.PROBE,
        supplies.PROBE,
        iomem.PROBE,
        oneshot.PROBE,
        firmware.PROBE,
        keeping.PROBE,
        drained.PROBE,
    )
