"""What running VMs were started with, and what PVE would start them with now: asked again only when one may have changed.

``qm showcmd`` costs 0.7 s of the node a VM. Its answer hangs on the VM's file, the mappings and the versions of PVE and QEMU; while
these and the process are the same, what was read before still holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from typing import TypeVar

from transom import errors, model
from transom.host import probe, stream
from transom.host.probes import qemu
from transom.reconcile import world as w

T = TypeVar("T")
_NOT_HERE = model.Unknown("its process is gone")


def look(facts: model.Facts, vmids: Set[int], world: w.World) -> dict[int, model.Started] | model.Unknown:
    """The running VMs of the node, those of ``vmids`` with both command lines."""
    started, files = facts.started, facts.guests
    if isinstance(started, model.Unknown) or isinstance(files, model.Unknown):
        return started
    versions = facts.packages if isinstance(facts.packages, model.Unknown) else tuple(sorted(facts.packages.items()))
    keys = {
        vmid: w.AskedOf(one.pid, one.since, one.written, files[vmid].digest, str(versions))
        for vmid, one in started.items()
        if vmid in vmids and vmid in files
    }
    kept = {vmid: one for vmid, one in dict(world.started).items() if keys.get(vmid) == one.of}
    fresh = _ask({vmid: started[vmid] for vmid in sorted(keys.keys() - kept.keys())}, world)
    kept |= {vmid: w.Asked(keys[vmid], one) for vmid, one in fresh.items() if isinstance(one.wanted, tuple)}
    for vmid in dict(world.started).keys() - kept.keys():
        world.started.pop(vmid, None)
    world.started.update(kept)
    return {**started, **fresh, **{vmid: one.answer for vmid, one in kept.items()}}


def _ask(of: Mapping[int, model.Started], world: w.World) -> dict[int, model.Started]:
    """All of them in one exec."""
    if not of:
        return {}
    pairs = {vmid: (qemu.running(vmid, one.pid), qemu.wanted(vmid)) for vmid, one in of.items()}
    nonce = world.nonce()
    script = stream.assemble([one for pair in pairs.values() for one in pair], nonce)
    try:
        done = world.host.script(script, read_only=True, timeout=30 + qemu.LIMIT * len(of))
        sections = stream.split(done.stdout, nonce)
    except errors.TransomError as error:
        why = model.Unknown(str(error))
        return {vmid: dataclasses.replace(one, argv=why, wanted=why) for vmid, one in of.items()}
    return {vmid: _answer(of[vmid], pair, sections) for vmid, pair in pairs.items()}


def _answer(
    one: model.Started,
    pair: tuple[probe.Probe[tuple[str, ...]], probe.Probe[tuple[str, ...]]],
    sections: Mapping[str, stream.Section],
) -> model.Started:
    def of(which: probe.Probe[T]) -> T | model.Unknown:
        section = sections.get(which.name)
        if section is None:
            return _NOT_HERE
        return probe.result(which, section.body, section.exit)

    argv, wanted = of(pair[0]), of(pair[1])
    return dataclasses.replace(one, argv=argv, wanted=wanted)
