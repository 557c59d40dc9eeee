"""The VM still runs the QEMU that was installed when it was started: an upgrade reaches it with its next start."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="qemu-outdated",
    scope=rule.Scope.GUEST,
    needs=("PVE API, status/current", "version of pve-qemu-kvm"),
    who=model.Who.REPORT,
    remedy="Shut it down and start it, or `qm reboot {vmid}`, when it suits; a restart from inside the guest is not enough.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    state, installed = guest.state(), guest.host.package("pve-qemu-kvm")
    if isinstance(state, model.Unknown):
        return rule.cannot_tell(state.unknown)
    if state is None or not state.qemu:
        return rule.clear()
    if isinstance(installed, model.Unknown):
        return rule.cannot_tell(installed.unknown)
    if installed.partition("-")[0] == state.qemu:
        return rule.clear()
    seen = [
        model.Evidence("PVE API, status/current", f"running-qemu: {state.qemu}"),
        model.Evidence("pve-qemu-kvm", installed),
    ]
    return rule.found(f"VM runs QEMU {state.qemu}, and {installed} is installed", seen, vmid=str(state.vmid))
