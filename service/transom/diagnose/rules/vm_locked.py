"""A backup, migration, snapshot or clone holds the VM: PVE refuses every change until it is done. A lock is never forced.

A start frees ``suspended`` (qemu-server 9.2.6, ``vm_start``); a rollback begins only without a lock.
"""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="vm-locked",
    scope=rule.Scope.GUEST,
    needs=("state of the VM",),
    who=model.Who.REPORT,
    remedy="{way_out}",
    holds=True,
    whole=rule.When.REBOOT,
)

_BY_TASK = (
    "Wait until the task behind the lock ({}) is done. If it died, a person reads its log, then runs `qm unlock`."
)
_OTHERS = {
    "suspended": (
        "It is hibernated: start it (`qm start {vmid}`), which resumes it and frees the lock. "
        "Never unlock it: what its memory holds would be lost."
    ),
    "rollback": (
        "Wait until the rollback is done. If it died, its disks may be between two states: a person unlocks the VM and rolls back "
        "again (`qm unlock {vmid}`, `qm rollback {vmid} SNAPSHOT`) before it is started."
    ),
    "snapshot-delete": (
        "Wait until the snapshot is removed. If that died, a person reads the task's log, unlocks the VM and removes the snapshot "
        "again (`qm unlock {vmid}`, `qm delsnapshot {vmid} SNAPSHOT --force`)."
    ),
}
"""Locks that no task stands behind, or where unlocking alone does harm."""


def judge(guest: view.Guest) -> rule.Verdict:
    observed, state = guest.observed, guest.state()
    in_file = "" if isinstance(observed, model.Unknown) else observed.get("lock", "")
    by_api = state.lock if isinstance(state, model.GuestState) else ""
    lock = by_api or in_file
    if lock:
        source = "PVE API, status/current" if by_api else f"/etc/pve/qemu-server/{guest.vmid}.conf"
        return rule.found(
            f"VM is locked ({lock})", [model.Evidence(source, f"lock: {lock}")], way_out=_way_out(lock, guest.vmid)
        )
    if isinstance(state, model.Unknown):
        return rule.cannot_tell(state.unknown)
    return rule.clear()


def _way_out(lock: str, vmid: int | None) -> str:
    return _OTHERS[lock].format(vmid=vmid) if lock in _OTHERS else _BY_TASK.format(lock)
