"""Reading a node: one compound, read-only shell script over SSH, and a few API calls. What fails is Unknown, never left out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TypeVar

from transom import errors, model
from transom.host import facts as host_facts
from transom.host import probes, stream
from transom.reconcile import world as w
from transom.spec import wish

T = TypeVar("T")
LIMIT = 60
"""Seconds for the whole script."""


def observe(world: w.World, node: wish.NodeWish | None = None) -> model.Facts:
    """All facts of the node, with the files on our side that ``node`` names. Unreachable, Denied or Garbled when the shell itself
    cannot be used; an API that cannot be asked only leaves its own facts Unknown."""
    sections = _sections(world)
    sources = {guest.rom.file: _source(world, guest.rom.file) for guest in (node.guests if node else ()) if guest.rom}
    facts = dataclasses.replace(host_facts.facts(world.node, sections), rom_sources=sources)
    try:
        world.api.version()
    except errors.TransomError as error:
        why = model.Unknown(f"{type(error).__name__}: {error}")
        return dataclasses.replace(facts, api=why, states=why, quorate=why, storages=why)
    return dataclasses.replace(
        facts,
        states=_ask("VM states", lambda: dict(world.api.guests(world.node))),
        quorate=_ask("quorum", lambda: world.api.cluster_status().quorate),
        storages=_ask("storages", lambda: frozenset(world.api.storages(world.node))),
    )


def _sections(world: w.World) -> dict[str, stream.Section]:
    nonce = world.nonce()
    script = stream.assemble(probes.all_probes(world.node), nonce)
    done = world.host.script(script, read_only=True, timeout=LIMIT)
    return stream.split(done.stdout, nonce)


def _source(world: w.World, path: str) -> str | model.Unknown:
    try:
        return hashlib.sha256(world.read(path)).hexdigest()
    except errors.TransomError as error:
        return model.Unknown(str(error))


def _ask(what: str, call: Callable[[], T]) -> T | model.Unknown:
    try:
        return call()
    except errors.TransomError as error:
        return model.Unknown(f"{what} (PVE API): {error}")
