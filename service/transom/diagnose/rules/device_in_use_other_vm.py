"""Another VM of the node has the same PCI function: both cannot run at once."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.diagnose import rule, view
from transom.guest import conf

RULE = rule.Rule(
    id="device-in-use-other-vm",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/*.conf", "state of the other VMs", "/sys/bus/pci/devices"),
    who=model.Who.REPORT,
    remedy="{remedy}",
)


@dataclasses.dataclass(frozen=True)
class _Use:
    """Another VM that has one of the functions: in the configuration that it runs with, or only in the next."""

    vmid: int
    key: str
    address: str
    now: bool


def judge(guest: view.Guest) -> rule.Verdict:
    given, pci, files = guest.hostpci, guest.host.facts.pci, guest.host.facts.guests
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    if not given:
        return rule.clear()
    if isinstance(pci, model.Unknown):
        return rule.cannot_tell(f"PCI devices: {pci.unknown}")
    if isinstance(files, model.Unknown):
        return rule.cannot_tell(f"other VMs: {files.unknown}")
    mine = frozenset(address for one in given if not one.value.mdev for address in one.functions(pci))
    others = [file for vmid, file in sorted(files.items()) if vmid != guest.vmid]
    uses = [use for file in others if isinstance(file.text, str) for use in _uses(file.vmid, file.text, mine, pci)]
    if uses:
        return _verdict(guest.host.facts.states, uses)
    unread = [file for file in others if isinstance(file.text, model.Unknown)]
    return rule.cannot_tell(f"configuration of VM {unread[0].vmid} was not read") if unread else rule.clear()


def _uses(vmid: int, text: str, mine: frozenset[str], pci: tuple[model.PciDevice, ...]) -> list[_Use]:
    parsed, found = conf.parse(text), {}
    for config, now in ((parsed.persisted(), False), (parsed.current(), True)):
        for one in view.given(config):
            shared = mine & set(one.functions(pci))
            if shared and not one.value.mdev:
                found[one.key] = _Use(vmid, f"{one.key}: {one.text}", min(shared), now)
    return [found[key] for key in sorted(found)]


def _verdict(states: dict[int, model.GuestState] | model.Unknown, uses: list[_Use]) -> rule.Verdict:
    if isinstance(states, model.Unknown):
        return rule.cannot_tell(f"which VMs run: {states.unknown}")
    running = [use for use in uses if use.now and use.vmid in states and states[use.vmid].status == "running"]
    use = (running or uses)[0]
    return rule.found(
        f"VM start fails with `PCI device '{use.address}' already in use by VMID '{use.vmid}'`"
        if running
        else f"PCI device '{use.address}' is also given to VM {use.vmid}, which does not use it now",
        [model.Evidence(f"/etc/pve/qemu-server/{one.vmid}.conf", one.key) for one in uses],
        holds=bool(running),
        remedy=f"Stop VM {use.vmid} first; the two can only run by turns."
        if running
        else f"Take it out of VM {use.vmid}, or let the two run by turns.",
    )
