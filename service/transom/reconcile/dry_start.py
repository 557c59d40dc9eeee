"""PVE's own rules for a start, asked without starting: ``qm showcmd`` as root, where the node has a shell.

It judges the stored configuration, for a running VM without what is pending, and neither the ROM file nor VFIO; the rules in
``diagnose`` judge all of it before anything is written. It changes nothing but that a stopped VM's volumes are activated.
"""

from __future__ import annotations

from transom import model
from transom.reconcile import effect as eff
from transom.reconcile import task
from transom.reconcile import world as w

LIMIT = 60
"""Seconds: Perl's start, and storages that answer slowly."""
_REFUSALS = frozenset({2, 22})
"""How ``qm`` exits with a rule's text, and with that of a device that is not there; 255 says that it was not even asked."""


def refusal(vmid: int, world: w.World, context: eff.Context) -> str:
    """What PVE says against starting the VM, also noted as a finding of the run; empty when nothing, or when it cannot be asked."""
    if not world.shell:
        return ""
    done = world.host.run(["qm", "showcmd", str(vmid)], timeout=LIMIT, read_only=True)
    said = " ".join(done.stderr.decode(errors="replace").split())
    if done.exit not in _REFUSALS or not said:
        return ""
    found = finding(vmid, said)
    context.note(task.FINDING, f"{found.id}: {found.summary}", model.to_json(found))
    return said


def finding(vmid: int, said: str) -> model.Finding:
    return model.Finding(
        id="start-refused",
        subject=f"VM {vmid}",
        summary=f"PVE would not start VM {vmid}: {said}",
        remedy="Mend the document or the node; `qm showcmd` on the node says whether it is mended.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(f"qm showcmd {vmid}", said),),
    )
