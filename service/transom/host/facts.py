"""All sections of one observation as ``model.Facts``. What the API alone knows is laid in later with ``dataclasses.replace``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from transom import model
from transom.host import loader, probe, stream
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

T = TypeVar("T")


def facts(node: str, sections: Mapping[str, stream.Section]) -> model.Facts:
    """The facts that the sections give; a probe that failed or is missing leaves its own facts Unknown."""

    def of(one: probe.Probe[T]) -> T | model.Unknown:
        section = sections.get(one.name)
        if section is None:
            return model.Unknown(f"probe {one.name} did not run")
        return probe.result(one, section.body, section.exit)

    seen, booted, machine, parameters = of(files.PROBE), of(boot.PROBE), of(hardware.PROBE), of(options.PROBE)
    loaded, devices, versions, configs = of(modules.PROBE), of(pci.PROBE), of(packages.PROBE), of(guests.make(node))
    images, plugged, ranges, kept = of(roms.PROBE), of(usb.PROBE), of(iomem.PROBE), of(keeping.PROBE)
    others, name, named = of(vmlist.make(node)), of(identity.PROBE), of(interfaces.PROBE)
    storage, network, lxc, voting = of(disks.PROBE), of(links.PROBE), of(containers.make(node)), of(votes.PROBE)
    services, tasks, packaging, room = of(ha.make(node)), of(jobs.PROBE), of(dpkg.PROBE), of(space.PROBE)
    esps, kernel, started, processes = of(esp.PROBE), of(sysctl.PROBE), of(rom_users.PROBE), of(qemus.make(node))
    given, owed = of(supplies.PROBE), of(drained.PROBE)
    once: model.OneShot | model.Unknown = of(oneshot.PROBE)
    nodes: dict[str, str] | model.Unknown = of(drm.PROBE)
    by_firmware = of(firmware.PROBE)
    return model.Facts(
        node=node,
        boot=boot.unknown(booted.unknown)
        if isinstance(booted, model.Unknown)
        else loader.settle(booted, esps, listed=_listed(seen)),
        files=_unread(seen) if isinstance(seen, model.Unknown) else seen.files,
        covered=() if isinstance(seen, model.Unknown) else seen.covered,
        modules=loaded if isinstance(loaded, model.Unknown) else loaded.names,
        loaded=loaded if isinstance(loaded, model.Unknown) else loaded.loaded,
        module_options={} if isinstance(parameters, model.Unknown) else parameters,
        pci=devices,
        packages=versions,
        hardware=hardware.unknown(machine.unknown) if isinstance(machine, model.Unknown) else machine,
        guests=configs,
        elsewhere=others,
        roms=images,
        rom_users=started,
        started=processes,
        usb=plugged,
        supplies=given,
        interfaces=named,
        iomem=ranges,
        esps=esps,
        standing=model.Standing(storage, network, lxc, voting, services, tasks, packaging, room, nodes),
        sysctl=kernel if isinstance(kernel, model.Unknown) else kernel.now,
        sysctl_set={} if isinstance(kernel, model.Unknown) else kernel.set,
        keeping=kept,
        drained=owed,
        oneshot=once,
        firmware=by_firmware,
        identity=name,
    )


def _listed(seen: files.Files | model.Unknown) -> bool | model.Unknown:
    """Whether proxmox-boot-tool has a list of ESPs."""
    if isinstance(seen, model.Unknown):
        return seen
    file = seen.files.get(loader.UUIDS)
    if file is None:
        return False
    return bool(file.text.strip()) if isinstance(file.text, str) else file.text


def unknown(node: str, reason: str) -> model.Facts:
    """A node of which nothing was read, so that no file counts as absent."""
    why = model.Unknown(reason)
    return model.Facts(
        node=node,
        boot=boot.unknown(reason),
        files=_unread(why),
        hardware=hardware.unknown(reason),
        modules=why,
        loaded=why,
        roms=why,
        usb=why,
        interfaces=why,
        iomem=why,
        keeping=why,
        elsewhere=why,
    )


def _unread(why: model.Unknown) -> dict[str, model.Unknown]:
    """The files with fixed names, each with the reason; patterns are then not covered."""
    return {path: why for path in files.READ if "*" not in path}
