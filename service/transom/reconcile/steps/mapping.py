"""One node's entry in a PCI mapping of the cluster: by the API, guarded by the digest of all mappings, read back."""

from __future__ import annotations

from transom import errors
from transom.plan import guest_actions, mapping
from transom.reconcile import effect as eff
from transom.reconcile import world as w


def prepare(action: guest_actions.SetMapping, world: w.World) -> eff.Effect:
    """No file: the way back is the entry that was there."""
    del world
    return eff.Effect(mapping=action.name, mapping_before=action.before, mapping_after=action.entry)


def apply(action: guest_actions.SetMapping, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Void when the mappings are not those that the plan saw."""
    del effect, context
    there = world.api.mappings(world.node).get(action.name)
    if (there.digest if there else "") != action.digest:
        raise errors.Void(f"PCI mapping {action.name} was changed since the plan was made", hint="plan again")
    world.api.set_mapping(action.name, action.entries, digest=action.digest)
    now = world.api.mappings(world.node).get(action.name)
    mine, others = mapping.entries_of(world.node, now)
    wanted = (action.entry,) if action.entry is not None else ()
    if sorted(others) != sorted(action.others) or len(mine) != len(wanted) or not all(map(mapping.same, mine, wanted)):
        raise errors.VerifyFailed(f"PCI mapping {action.name} reads back different: {now.entries if now else 'gone'}")
    return f"PCI mapping {action.name} reads back as planned"
