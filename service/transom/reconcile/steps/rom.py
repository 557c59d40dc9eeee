"""Placing an option ROM under ``/usr/share/kvm``, and removing one that nobody names."""

from __future__ import annotations

import hashlib

from transom import errors
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote


def prepare(action: acts.PlaceRom | acts.RemoveRom, world: w.World) -> eff.Effect:
    del world
    after = action.sha256 if isinstance(action, acts.PlaceRom) else None
    return eff.Effect(action.path, action.before_sha256, after)


def apply(action: acts.PlaceRom | acts.RemoveRom, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """VerifyFailed when the local file is not the one that the document names: nothing has been sent then."""
    del effect
    if isinstance(action, acts.RemoveRom):
        remote.remove(world.host, action.path, expect=action.before_sha256, backup=context.backup)
        return f"{action.path} is gone"
    data = world.read(action.source)
    found = hashlib.sha256(data).hexdigest()
    if found != action.sha256:
        raise errors.VerifyFailed(
            f"{action.source} has sha256 {found}, the document says {action.sha256}",
            hint="put the right file there, or the right hash into the Rom document",
        )
    remote.write(world.host, action.path, data, mode=0o644, expect=action.before_sha256, backup=context.backup)
    return f"{action.path} holds {len(data)} bytes with sha256 {action.sha256[:12]}…"
