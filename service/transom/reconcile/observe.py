"""Reading a node: one compound, read-only shell script over SSH, and a few API calls. What fails is Unknown, never left out.

A node without SSH is read by its API alone (``told``).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Sequence

from transom import errors, model
from transom.guest import conf, identity
from transom.guest.fields import disks
from transom.host import facts as host_facts
from transom.host import probes, stream, versions
from transom.reconcile import started, told
from transom.reconcile import world as w
from transom.spec import wish

_NO_MAPS = model.Unknown("PVE has them since 8.0")
LIMIT = 60
"""Seconds for the whole script."""


def observe(world: w.World, node: wish.NodeWish | None = None, *, every: bool = False) -> model.Facts:
    """All facts of the node, with the files on our side that ``node`` names; its declared VMs closer than others, or ``every`` VM.

    Unreachable, Denied or Garbled when the shell itself cannot be used, or the API of a node without one, Rejected when that
    API knows no such node; otherwise an API that cannot be asked only leaves its own facts Unknown."""
    facts = _by_shell(world) if world.shell else _by_api(world)
    if node:
        facts = _closer(facts, world, node.guests, every=every)
        facts = dataclasses.replace(facts, images=_images(facts, world, node.guests, every=every))
    roms = [guest.rom for guest in (node.guests if node else ()) if guest.rom]
    return dataclasses.replace(
        facts,
        rom_sources={rom.file: _source(world, rom.file) for rom in roms if not rom.build},
        rom_builds={rom.name: world.built(rom) for rom in roms if rom.build},
    )


def _by_shell(world: w.World) -> model.Facts:
    facts = host_facts.facts(world.node, sections(world))
    facts = dataclasses.replace(facts, here=_here(facts.boot.boot_id))
    try:
        world.api.version()
    except errors.TransomError as error:
        why = model.Unknown(f"{type(error).__name__}: {error}")
        return dataclasses.replace(facts, api=why, states=why, quorate=why, storages=why, ha=why)
    everywhere = told.ask("VMs of the cluster", world.api.everywhere)
    return dataclasses.replace(_with_api(facts, world), ha=_ha(everywhere))


def _here(boot_id: str | model.Unknown) -> bool | model.Unknown:
    """Whether the node's kernel is the one that this process runs on; a container shares its host's boot id."""
    if isinstance(boot_id, model.Unknown):
        return boot_id
    try:
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip() == boot_id
    except OSError:  # no Linux, and so no node
        return False


def _by_api(world: w.World) -> model.Facts:
    world.api.version()
    facts = _with_api(told.facts(world), world)
    if isinstance(facts.states, model.Unknown):
        _need_node(world)
    everywhere = told.ask("VMs of the cluster", world.api.everywhere)
    others = (
        everywhere
        if isinstance(everywhere, model.Unknown)
        else {one.vmid: one.node for one in everywhere if one.node != world.node}
    )
    states = facts.states
    guests = states if isinstance(states, model.Unknown) else told.files(states, world)
    return dataclasses.replace(facts, guests=guests, elsewhere=others, ha=_ha(everywhere))


def _need_node(world: w.World) -> None:
    """Rejected when the API knows no such node: every fact would be Unknown, and none would say why."""
    known = told.ask("nodes", lambda: [node.name for node in world.api.nodes()])
    if not isinstance(known, model.Unknown) and world.node not in known:
        there = ", ".join(known) or "none"
        raise errors.Rejected(
            f"the API knows no node {world.node} (it has {there})",
            hint="set spec.pve_node of the Node document to its name in PVE",
        )


def _with_api(facts: model.Facts, world: w.World) -> model.Facts:
    quorate, lacks = _quorate(world)
    return dataclasses.replace(
        facts,
        lacks=lacks,
        states=told.ask("VM states", lambda: dict(world.api.guests(world.node))),
        mappings=told.ask("PCI mappings", lambda: dict(world.api.mappings(world.node))) if _maps(world) else _NO_MAPS,
        quorate=quorate,
        storages=told.ask("storages", lambda: frozenset(world.api.storages(world.node))),
    )


def _quorate(world: w.World) -> tuple[bool | model.Unknown, tuple[str, ...]]:
    """Whether the cluster is quorate, and the right that is missing when that may not be seen."""
    try:
        return world.api.cluster_status().quorate, ()
    except errors.Denied as error:
        return model.Unknown(f"quorum (PVE API): {error}"), ("Sys.Audit on /",)
    except errors.TransomError as error:
        return model.Unknown(f"quorum (PVE API): {error}"), ()


def _closer(facts: model.Facts, world: w.World, guests: Sequence[wish.GuestWish], *, every: bool) -> model.Facts:
    """With what running declared VMs tell of themselves: only so does the API give the version of a running QEMU, and the node the
    words that it was started with."""
    if isinstance(facts.states, model.Unknown) or isinstance(facts.guests, model.Unknown):
        return facts
    names, ids = {guest.name for guest in guests}, {guest.vmid for guest in guests}
    texts = {vmid: file.text for vmid, file in facts.guests.items() if isinstance(file.text, str)}
    found, ours = dict(facts.states), set[int]()
    for vmid, state in facts.states.items():
        declared = every or vmid in ids or (vmid in texts and identity.marked(conf.parse(texts[vmid])) in names)
        if declared and state.status == "running":
            ours.add(vmid)
            told_by_itself = told.ask(f"VM {vmid}", functools.partial(world.api.status, world.node, vmid))
            found[vmid] = state if isinstance(told_by_itself, model.Unknown) else told_by_itself
    return dataclasses.replace(facts, states=found, started=started.look(facts, ours, world))


def _images(
    facts: model.Facts, world: w.World, guests: Sequence[wish.GuestWish], *, every: bool
) -> dict[str, frozenset[str] | model.Unknown]:
    """Of the storages from which documents name an ISO image, or ``every`` VM; one that is not there is not asked."""
    values = [want.value for guest in guests for want in guest.config.values()]
    if every and not isinstance(facts.guests, model.Unknown):
        texts = (file.text for file in facts.guests.values() if isinstance(file.text, str))
        values += [value for text in texts for value in conf.parse(text).persisted().values()]
    named = {storage for value in values if (storage := disks.image(value)[0])}
    there = frozenset[str]() if isinstance(facts.storages, model.Unknown) else named & facts.storages
    return {
        one: told.ask(f"images on {one}", functools.partial(world.api.images, world.node, one)) for one in sorted(there)
    }


def _maps(world: w.World) -> bool:
    """Whether this PVE has resource mappings."""
    return versions.matches(world.api.version(), ">=8.0")


def _ha(everywhere: tuple[model.ClusterGuest, ...] | model.Unknown) -> dict[int, str] | model.Unknown:
    return everywhere if isinstance(everywhere, model.Unknown) else {one.vmid: one.ha for one in everywhere if one.ha}


def sections(world: w.World) -> dict[str, stream.Section]:
    """What the probes print on the node now."""
    nonce = world.nonce()
    script = stream.assemble(probes.all_probes(world.node), nonce)
    done = world.host.script(script, read_only=True, timeout=LIMIT)
    return stream.split(done.stdout, nonce)


def _source(world: w.World, path: str) -> str | model.Unknown:
    try:
        return hashlib.sha256(world.read(path)).hexdigest()
    except errors.TransomError as error:
        return model.Unknown(str(error))
