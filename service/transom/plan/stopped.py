"""A VM that our own restart has left off: told, and offered to be started. One that others have stopped is nobody's business."""

from __future__ import annotations

from transom import model
from transom.plan import guest_actions
from transom.plan.draft import Draft


def left(vmid: int, document: str, one: model.LeftStopped, ha: model.Maybe[dict[int, str]]) -> Draft:
    """``ha``: the VMs that HA starts and stops. Nothing is started where it is not known what became of the VM since."""
    draft, by_ha = Draft(), not isinstance(ha, model.Unknown) and vmid in ha
    missing = next((known.unknown for known in (one.says, ha) if isinstance(known, model.Unknown)), "")
    unknown, says = bool(missing), missing or one.says or "no start since was seen"
    assert isinstance(says, str)
    draft.findings.append(
        model.Finding(
            id="restart-left-stopped",
            subject=f"VM {vmid}",
            summary=f"VM {vmid} ran until run {one.run} restarted it, and has been off since: {says}",
            remedy=_way_out(vmid, unknown=unknown, by_ha=by_ha),
            who=model.Who.REPORT if unknown or by_ha else model.Who.AUTO,
            evidence=(model.Evidence(f"run {one.run}", "it ran, and was restarted"), model.Evidence("PVE tasks", says)),
        )
    )
    if not unknown and not by_ha:
        level, impact = model.Level.EFFECTIVE, model.Impact.GUEST_RESTART
        why = f"run {one.run} restarted it"
        draft.drifts.append(model.Drift(f"qemu/{vmid}", "running", "stopped", level, impact, document, why))
        draft.actions.append(guest_actions.StartGuest(vmid))
    return draft


def _way_out(vmid: int, *, unknown: bool, by_ha: bool) -> str:
    if by_ha:
        return f"HA starts it: see `ha-manager status`, and what it says against VM {vmid}."
    if unknown:
        return f"Look at its tasks on the node, then start it or leave it off: `qm start {vmid}` or `qm stop {vmid}` ends this."
    return f"Put right what its start says; the plan starts it. To leave it off: `qm stop {vmid}`, which ends this."
