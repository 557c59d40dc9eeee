"""Creating and changing VMs: the token's part by the API, the root-only keys over SSH, one digest guarding the whole change."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence

from transom import errors
from transom.guest import compare, conf, identity
from transom.guest import shell as guest_shell
from transom.plan import actions as acts
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

TASK_LIMIT = 600
"""Seconds for a create or restart task: allocating a disk, a guest's own shutdown."""


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
        vmid = action.vmid if action.vmid is not None else world.api.nextid()
        wanted = {**action.api, **action.root}
    return eff.Effect(eff.guest_path(vmid), _sha256(_read(vmid, world)), None, vmid=vmid, wanted=wanted)


def apply(action: acts.CreateGuest | acts.ChangeGuest, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    assert effect.vmid is not None
    remote.keep(world.host, effect.path, backup=context.backup, on_pmxcfs=True)
    if isinstance(action, acts.CreateGuest):
        _create(action, effect.vmid, world)
    else:
        _change(action, world)
    _verify(effect.vmid, effect.wanted, world)
    return f"VM {effect.vmid} reads back as planned"


def _create(action: acts.CreateGuest, vmid: int, world: w.World) -> None:
    present = _read(vmid, world)
    if present is None:
        _wait(world.api.create(world.node, vmid, action.api), world)
        present = _read(vmid, world)
    elif identity.marked(conf.parse(present.decode())) != action.name:
        raise errors.Void(f"VM {vmid} has appeared since the plan was made and is not ours", hint="plan again")
    if present is None:
        raise errors.VerifyFailed(f"VM {vmid} was created, and {eff.guest_path(vmid)} is not there")
    if action.root:
        _set_as_root(vmid, action.root, (), hashlib.sha1(present).hexdigest(), world)


def _change(action: acts.ChangeGuest, world: w.World) -> None:
    before = _read(action.vmid, world)
    if before is None or hashlib.sha1(before).hexdigest() != action.digest:
        raise errors.Void(f"VM {action.vmid} was changed by somebody else since the plan was made", hint="plan again")
    digest = action.digest
    if action.api or action.api_delete:
        world.api.update(world.node, action.vmid, digest=digest, values=action.api, delete=action.api_delete)
        between = _read(action.vmid, world) or b""
        _only_ours(before, between, {**action.api, **dict.fromkeys(action.api_delete)}, action.vmid)
        digest = hashlib.sha1(between).hexdigest()
    if action.root or action.root_delete:
        _set_as_root(action.vmid, action.root, action.root_delete, digest, world)


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


def _wait(upid: str, world: w.World) -> None:
    world.api.wait(upid, timeout=TASK_LIMIT, on_log=world.say)


def _verify(vmid: int, wanted: Mapping[str, str | None], world: w.World) -> None:
    persisted = conf.parse(read(vmid, world).decode()).persisted()
    wrong = [diff.key for diff in compare.differences({k: v for k, v in wanted.items() if v is not None}, persisted)]
    wrong += [key for key, value in wanted.items() if value is None and key in persisted]
    if wrong:
        said = "; ".join(f"{key}: {persisted.get(key)!r}, wanted {wanted[key]!r}" for key in sorted(wrong))
        raise errors.VerifyFailed(f"VM {vmid} reads back different: {said}")
