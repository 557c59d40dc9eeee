"""Creating and changing VMs: the token's part by the API, the root-only keys by root's ticket or over SSH, guarded by one digest.

With a ticket of root's at hand both go in one request; else the second part is sent only if nobody came in between. So is ``boot``
where PVE would have changed it by itself.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from transom import errors, model
from transom.guest import compare, conf, derived, identity
from transom.guest import shell as guest_shell
from transom.plan import guest_actions
from transom.reconcile import dry_start, guests, task
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

_TRIES = 20
"""How often the next free id is asked for, one second apart, while it is one that was just seen taken."""


_TAKEN = re.compile(r"\b(?:VM|CT) \d+ already exists")
"""``unable to create VM 100 - VM 100 already exists on node 'pve1'``; the same for a container."""


def prepare(action: guest_actions.CreateGuest | guest_actions.ChangeGuest, world: w.World) -> eff.Effect:
    if isinstance(action, guest_actions.ChangeGuest):
        vmid, wanted = action.vmid, dict(action.wanted)
    else:
        vmid = action.vmid if action.vmid is not None else _free_id(world)
        wanted = {**action.api, **action.root}
    before = guests.read(vmid, world)
    image = guests.text(before) if before is not None and not world.shell else None
    return eff.Effect(eff.guest_path(vmid), guests.sha256(before), None, vmid=vmid, wanted=wanted, image=image)


def _free_id(world: w.World) -> int:
    """The next free id that no configuration of this node has. Nothing reserves it: creating tells whether it still was free."""
    for _ in range(_TRIES):
        vmid = world.api.nextid()
        if guests.read(vmid, world) is None:
            return vmid
        world.sleep(1)
    raise errors.Busy(
        f"PVE gives VM id {vmid} as the next free one, and there is such a VM", hint="looked at again soon"
    )


def apply(
    action: guest_actions.CreateGuest | guest_actions.ChangeGuest,
    effect: eff.Effect,
    world: w.World,
    context: eff.Context,
) -> str:
    assert effect.vmid is not None
    root_deletes = isinstance(action, guest_actions.ChangeGuest) and action.root_delete
    if (action.root or root_deletes) and not (world.shell or world.root):
        raise errors.Denied(f"VM {effect.vmid}: only root may set what is to be set, and no way to root is given")
    if world.shell:
        remote.keep(world.host, effect.path, backup=context.backup, on_pmxcfs=True)
    if isinstance(action, guest_actions.CreateGuest):
        _create(action, effect.vmid, world, context)
    else:
        _change(action, world)
    _verify(effect.vmid, effect.wanted, world)
    dry_start.refusal(effect.vmid, world, context)
    return f"VM {effect.vmid} reads back as planned"


def _create(action: guest_actions.CreateGuest, vmid: int, world: w.World, context: eff.Context) -> None:
    if guests.read(vmid, world) is None:
        # Both parts together where one may write both: then there never is a VM that lacks its root-only keys.
        whole = world.root if action.root else None
        api, values = (whole, {**action.api, **action.root}) if whole else (world.api, action.api)
        try:
            task.carry_out(world, context, "qmcreate", vmid, lambda: api.create(world.node, vmid, values))
        except errors.Rejected as error:
            if _TAKEN.search(str(error)) is None:
                raise
            _refuse_taken(action, vmid, guests.read(vmid, world), error)
    present = guests.need(vmid, world)
    _refuse_taken(action, vmid, present, None)
    rest = {key: action.root[key] for key in _lacking(action.root, present)}
    if rest:
        _write_as_root(vmid, _Part(rest), present.digest, world)


def _refuse_taken(
    action: guest_actions.CreateGuest, vmid: int, present: model.GuestFile | None, cause: errors.Rejected | None
) -> None:
    """VmidTaken or Void unless the VM that is there carries our mark, as one does that a lost request made."""
    if present is not None and identity.marked(conf.parse(guests.text(present))) == action.name:
        return
    if action.vmid is None:
        raise errors.VmidTaken(f"VM id {vmid} was taken by somebody else meanwhile") from cause
    raise errors.Void(f"VM {vmid} has appeared since the plan was made and is not ours", hint="plan again") from cause


def _change(action: guest_actions.ChangeGuest, world: w.World) -> None:
    before = guests.read(action.vmid, world)
    if before is None or before.digest != action.digest:
        raise errors.Void(f"VM {action.vmid} was changed by somebody else since the plan was made", hint="plan again")
    standing = before
    for number, (send, part) in enumerate(_requests(action, world)):
        if number:
            standing = guests.need(action.vmid, world)
            _only_ours(before, standing, action.wanted)
        send(part, standing.digest)


def _requests(
    action: guest_actions.ChangeGuest, world: w.World
) -> Iterator[tuple[Callable[[_Part, str], None], _Part]]:
    """Who sends what, in order; each is given the digest that stands then."""
    token, root, last = (
        _Part(action.api, action.api_delete, action.revert),
        _Part(action.root, action.root_delete),
        _part_of(action.then),
    )
    if root.wanted and world.root is not None:
        token, root = _Part({}), token + root
    if token.wanted:
        yield lambda part, digest: _update(world.api, action.vmid, part, digest, world), token
    if root.wanted:
        yield lambda part, digest: _write_as_root(action.vmid, part, digest, world), root
    if last.wanted:
        yield lambda part, digest: _update(world.api, action.vmid, part, digest, world), last


@dataclasses.dataclass(frozen=True)
class _Part:
    """What one writer sends in one request. ``revert``: key → the value that stands once its pending change is taken back."""

    values: Mapping[str, str]
    delete: Sequence[str] = ()
    revert: Mapping[str, str | None] = dataclasses.field(default_factory=dict)

    def __add__(self, other: _Part) -> _Part:
        values, revert = {**self.values, **other.values}, {**self.revert, **other.revert}
        return _Part(values, (*self.delete, *other.delete), revert)

    @property
    def wanted(self) -> dict[str, str | None]:
        """Every key with its persisted value afterwards; None for gone."""
        return {**self.values, **dict.fromkeys(self.delete), **self.revert}


def _part_of(changes: Mapping[str, str | None]) -> _Part:
    values = {key: value for key, value in changes.items() if value is not None}
    return _Part(values, [key for key in changes if key not in values])


def _update(api: w.Api, vmid: int, part: _Part, digest: str, world: w.World) -> None:
    """Nothing is sent twice: the configuration decides when the answer is lost, and when a hotplug failed: that is a
    400 although the change is pending then and the other keys were applied."""
    try:
        api.update(world.node, vmid, digest=digest, values=part.values, delete=part.delete, revert=sorted(part.revert))
    except errors.Rejected as error:
        if error.unsure or _lacking(part.wanted, guests.need(vmid, world)):
            raise
        world.say(f"left pending by PVE: {error}")
    except errors.TransomError as error:
        if not error.unsure:
            raise
        world.say(f"contact was lost while changing VM {vmid}; looking whether it was changed")
        _await_change(vmid, part.wanted, digest, world, error)


def _await_change(
    vmid: int, wanted: Mapping[str, str | None], digest: str, world: w.World, error: errors.TransomError
) -> None:
    """PVE may still wait for the VM's lock. ``error`` when the change never comes; a late one fails the digest of the next."""
    deadline = world.monotonic() + task.GRACE
    while True:
        file = guests.need(vmid, world)
        if not _lacking(wanted, file):
            return
        if file.digest != digest:
            raise errors.Void(f"VM {vmid} was changed by somebody else", hint="plan again") from error
        if world.monotonic() >= deadline:
            raise error
        world.sleep(1)


def _persisted(file: model.GuestFile) -> dict[str, str]:
    return conf.parse(guests.text(file)).persisted()


def _only_ours(before: model.GuestFile, after: model.GuestFile, changed: Mapping[str, str | None]) -> None:
    """Between two of our writes the digest is new; nobody else's change may hide behind that. What PVE does by itself is no change
    of anybody's."""
    old, new = _persisted(before), _persisted(after)
    differing = sorted(key for key in {*old, *new} - set(changed) if old.get(key) != new.get(key))
    others = [key for key in differing if not derived.by_pve(key, changed, old.get(key), new.get(key))]
    if others:
        said = f"somebody else changed {', '.join(others)} of VM {before.vmid} at the same time"
        raise errors.Void(said, hint="plan again")


def _write_as_root(vmid: int, part: _Part, digest: str, world: w.World) -> None:
    if world.root is not None:
        _update(world.root, vmid, part, digest, world)
    else:
        _set_as_root(vmid, part, digest, world)


def _set_as_root(vmid: int, part: _Part, digest: str, world: w.World) -> None:
    """``qm`` prints PVE's text on stderr and exits 255 for what PVE refuses, a wrong digest and a lock included."""
    (line,) = guest_shell.change(vmid, part.values, part.delete, digest)
    done = world.host.run(shlex.split(line), timeout=120)
    if done.exit == 0:
        return
    text = done.stderr.decode(errors="replace").strip().partition("\nqm set")[0]
    if "checksum mismatch" in text:
        raise errors.Void(f"VM {vmid}: {text}", hint="plan again")
    if "locked" in text or "can't lock" in text:
        raise errors.Busy(f"VM {vmid}: {text}")
    raise errors.Rejected(f"qm set {vmid}: {text}")


def _verify(vmid: int, wanted: Mapping[str, str | None], world: w.World) -> None:
    wrong = _lacking(wanted, guests.need(vmid, world))
    if wrong:
        said = "; ".join(f"{key}: {there!r}, wanted {wanted[key]!r}" for key, there in sorted(wrong.items()))
        raise errors.VerifyFailed(f"VM {vmid} reads back different: {said}")


def _lacking(wanted: Mapping[str, str | None], file: model.GuestFile) -> dict[str, str | None]:
    """Keys that are not as wanted (None: gone) in the persisted configuration, with what is there instead."""
    persisted = _persisted(file)
    differing = compare.differences({key: value for key, value in wanted.items() if value is not None}, persisted)
    there = [key for key, value in wanted.items() if value is None and key in persisted]
    return {key: persisted.get(key) for key in (*(diff.key for diff in differing), *there)}
