"""A backup, migration, snapshot or clone holds the VM: PVE refuses every change until it is done. A lock is never forced."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="vm-locked",
    scope=rule.Scope.GUEST,
    needs=("state of the VM",),
    who=model.Who.REPORT,
    remedy="Wait until the task behind the lock ({lock}) is done. If it died, a person reads its log, then runs `qm unlock`.",
    holds=True,
)


def judge(guest: view.Guest) -> rule.Verdict:
    observed, state = guest.observed, guest.state()
    in_file = "" if isinstance(observed, model.Unknown) else observed.get("lock", "")
    by_api = state.lock if isinstance(state, model.GuestState) else ""
    lock = by_api or in_file
    if lock:
        source = "PVE API, status/current" if by_api else f"/etc/pve/qemu-server/{guest.vmid}.conf"
        return rule.found(f"VM is locked ({lock})", [model.Evidence(source, f"lock: {lock}")], lock=lock)
    if isinstance(state, model.Unknown):
        return rule.cannot_tell(state.unknown)
    return rule.clear()
