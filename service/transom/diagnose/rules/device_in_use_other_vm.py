"""Another VM of the node has the same PCI function: both cannot run at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from transom import model
from transom.diagnose import rule, view
from transom.guest import conf

RULE = rule.Rule(
    id="device-in-use-other-vm",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/*.conf", "state of the other VMs", "/sys/bus/pci/devices", "PCI mappings"),
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
    mine = _functions(given, guest.host)
    if isinstance(mine, model.Unknown):
        return rule.cannot_tell(mine.unknown)
    others = [file for vmid, file in sorted(files.items()) if vmid != guest.vmid]
    texts = [(file.vmid, file.text) for file in others if isinstance(file.text, str)]
    judged = [one for vmid, text in texts for one in _uses(vmid, text, mine, guest.host)]
    if uses := [one for one in judged if isinstance(one, _Use)]:
        return _verdict(guest.host.facts.states, uses)
    unknown = [
        f"configuration of VM {file.vmid} was not read" for file in others if isinstance(file.text, model.Unknown)
    ]
    unknown += [one.unknown for one in judged if isinstance(one, model.Unknown)]
    return rule.cannot_tell(unknown[0]) if unknown and mine else rule.clear()


def _functions(given: Iterable[view.Given], host: view.Host) -> frozenset[str] | model.Unknown:
    """What is given as a whole: mediated devices share their parent."""
    found: set[str] = set()
    for one in given:
        addresses = () if one.value.mdev else view.mapped(one, host)
        if isinstance(addresses, model.Unknown):
            return addresses
        found |= set(addresses)
    return frozenset(found)


def _uses(vmid: int, text: str, mine: frozenset[str], host: view.Host) -> list[_Use | model.Unknown]:
    parsed, found = conf.parse(text), dict[str, _Use | model.Unknown]()
    for config, now in ((parsed.persisted(), False), (parsed.current(), True)):
        for one in view.given(config):
            theirs = _functions([one], host)
            if isinstance(theirs, model.Unknown):
                found[one.key] = theirs
            elif shared := mine & theirs:
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
