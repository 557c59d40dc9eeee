"""Creating and changing VMs: the token's part by the API, the root-only keys over SSH, one digest guarding the whole change."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence

from transom import errors
from transom.guest import compare, conf, identity
from transom.guest import shell as guest_shell
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import task
from transom.reconcile import world as w
from transom.ssh import files as remote

_TRIES = 20
"""How often the next free id is asked for, one second apart, while it is one that was just seen taken."""


_TAKEN = re.compile(r"\b(?:VM|CT) \d+ already exists")
"""``unable to create VM 100 - VM 100 already exists on node 'pve1'``; the same for a container."""


def _read(vmid: int, world: w.World) -> bytes | None:
    return remote.read(world.host, eff.guest_path(vmid))


def read(vmid: int, world: w.World) -> bytes:
    """The VM's configuration; VerifyFailed when there is none."""
    data = _read(vmid, world)
    if data is None:
        raise errors.VerifyFailed(f"VM {vmid} is gone")
    return data


def _sha256(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def prepare(action: acts.CreateGuest | acts.ChangeGuest, world: w.World) -> eff.Effect:
    if isinstance(action, acts.ChangeGuest):
        vmid, wanted = action.vmid, dict(action.wanted)
    else:
        vmid = action.vmid if action.vmid is not None else _free_id(world)
        wanted = {**action.api, **action.root}
    return eff.Effect(eff.guest_path(vmid), _sha256(_read(vmid, world)), None, vmid=vmid, wanted=wanted)


def _free_id(world: w.World) -> int:
    """The next free id that no configuration of this node has. Nothing reserves it: creating tells whether it still was free."""
    for _ in range(_TRIES):
        vmid = world.api.nextid()
        if _read(vmid, world) is None:
            return vmid
        world.sleep(1)
    raise errors.Busy(
        f"PVE gives VM id {vmid} as the next free one, and there is such a VM", hint="looked at again soon"
    )


def apply(action: acts.CreateGuest | acts.ChangeGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    assert effect.vmid is not None
    remote.keep(world.host, effect.path, backup=context.backup, on_pmxcfs=True)
    if isinstance(action, acts.CreateGuest):
        _create(action, effect.vmid, world, context)
    else:
        _change(action, world)
    _verify(effect.vmid, effect.wanted, world)
    return f"VM {effect.vmid} reads back as planned"


def _create(action: acts.CreateGuest, vmid: int, world: w.World, context: eff.Context) -> None:
    if _read(vmid, world) is None:
        try:
            task.carry_out(world, context, "qmcreate", vmid, lambda: world.api.create(world.node, vmid, action.api))
        except errors.Rejected as error:
            if _TAKEN.search(str(error)) is None:
                raise
            _refuse_taken(action, vmid, _read(vmid, world), error)
    present = _read(vmid, world)
    if present is None:
        raise errors.VerifyFailed(f"VM {vmid} was created, and {eff.guest_path(vmid)} is not there")
    _refuse_taken(action, vmid, present, None)
    if action.root:
        _set_as_root(vmid, action.root, (), hashlib.sha1(present).hexdigest(), world)


def _refuse_taken(action: acts.CreateGuest, vmid: int, present: bytes | None, cause: errors.Rejected | None) -> None:
    """VmidTaken or Void unless the VM that is there carries our mark, as one does that a lost request made."""
    if present is not None and identity.marked(conf.parse(present.decode())) == action.name:
        return
    if action.vmid is None:
        raise errors.VmidTaken(f"VM id {vmid} was taken by somebody else meanwhile") from cause
    raise errors.Void(f"VM {vmid} has appeared since the plan was made and is not ours", hint="plan again") from cause


def _change(action: acts.ChangeGuest, world: w.World) -> None:
    before = _read(action.vmid, world)
    if before is None or hashlib.sha1(before).hexdigest() != action.digest:
        raise errors.Void(f"VM {action.vmid} was changed by somebody else since the plan was made", hint="plan again")
    digest = action.digest
    if action.api or action.api_delete:
        _update(action, world)
        between = _read(action.vmid, world) or b""
        _only_ours(before, between, {**action.api, **dict.fromkeys(action.api_delete)}, action.vmid)
        digest = hashlib.sha1(between).hexdigest()
    if action.root or action.root_delete:
        _set_as_root(action.vmid, action.root, action.root_delete, digest, world)


def _update(action: acts.ChangeGuest, world: w.World) -> None:
    """The token's part. Nothing is sent twice: when the answer is lost, the configuration tells whether it was carried out."""
    try:
        world.api.update(world.node, action.vmid, digest=action.digest, values=action.api, delete=action.api_delete)
    except errors.TransomError as error:
        if not error.unsure:
            raise
        world.say(f"contact was lost while changing VM {action.vmid}; looking whether it was changed")
        _await_change(action, world, error)


def _await_change(action: acts.ChangeGuest, world: w.World, error: errors.TransomError) -> None:
    """PVE may still wait for the VM's lock. ``error`` when the change never comes; a late one fails the digest of the next."""
    wanted = {**action.api, **dict.fromkeys(action.api_delete)}
    deadline = world.monotonic() + task.GRACE
    while True:
        data = read(action.vmid, world)
        if not _wrong(wanted, conf.parse(data.decode()).persisted()):
            return
        if hashlib.sha1(data).hexdigest() != action.digest:
            raise errors.Void(f"VM {action.vmid} was changed by somebody else", hint="plan again") from error
        if world.monotonic() >= deadline:
            raise error
        world.sleep(1)


def _only_ours(before: bytes, after: bytes, changed: Mapping[str, str | None], vmid: int) -> None:
    """Between our two writes the digest is new; nobody else's change may hide behind that."""
    old, new = conf.parse(before.decode()).persisted(), conf.parse(after.decode()).persisted()
    others = sorted(key for key in {*old, *new} - set(changed) if old.get(key) != new.get(key))
    if others:
        raise errors.Void(f"somebody else changed {', '.join(others)} of VM {vmid} at the same time", hint="plan again")


def _set_as_root(vmid: int, values: Mapping[str, str], delete: Sequence[str], digest: str, world: w.World) -> None:
    """``qm`` prints PVE's text on stderr and exits 255 for what PVE refuses, a wrong digest and a lock included."""
    (line,) = guest_shell.change(vmid, values, delete, digest)
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
    persisted = conf.parse(read(vmid, world).decode()).persisted()
    wrong = _wrong(wanted, persisted)
    if wrong:
        said = "; ".join(f"{key}: {persisted.get(key)!r}, wanted {wanted[key]!r}" for key in sorted(wrong))
        raise errors.VerifyFailed(f"VM {vmid} reads back different: {said}")


def _wrong(wanted: Mapping[str, str | None], persisted: Mapping[str, str]) -> list[str]:
    """The keys that are not as ``wanted``."""
    wrong = [diff.key for diff in compare.differences({k: v for k, v in wanted.items() if v is not None}, persisted)]
    return wrong + [key for key, value in wanted.items() if value is None and key in persisted]
