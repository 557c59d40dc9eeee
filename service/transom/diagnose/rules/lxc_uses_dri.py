"""A container uses ``/dev/dri``, and the display device or driver that gives it is to be taken from the host."""

from __future__ import annotations

import re

from transom import model
from transom.diagnose import blacklists, rule, taken, view
from transom.host import derive, module_names

RULE = rule.Rule(
    id="lxc-uses-dri",
    scope=rule.Scope.NODE,
    needs=("/etc/pve/lxc", "/sys/bus/pci/devices"),
    who=model.Who.REFUSE,
    remedy="Take /dev/dri out of {containers}, or leave the host its graphics: one of both can have them.",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)
_USES = re.compile(r"^\s*(?:dev[0-9]+|lxc\.\S+|mp[0-9]+)\s*[:=].*(?:/?dev/dri|\bc 226:).*", re.M)


def judge(host: view.Host) -> rule.Verdict:
    going = _takes_display(host)
    if isinstance(going, model.Unknown):
        return rule.cannot_tell(going.unknown)
    containers = host.facts.standing.containers
    if not going:
        return rule.clear()
    if isinstance(containers, model.Unknown):
        return rule.cannot_tell(f"containers: {containers.unknown}")
    unread = next((text for text in containers.values() if isinstance(text, model.Unknown)), None)
    if unread is not None:
        return rule.cannot_tell(f"containers: {unread.unknown}")
    lines = {
        id: match.group().strip() for id, text in containers.items() if (match := _USES.search(_present(str(text))))
    }
    if not lines:
        return rule.clear()
    named = ", ".join(f"CT {id}" for id in lines)
    return rule.found(
        f"{named} use /dev/dri, which goes with {going}",
        [model.Evidence(f"/etc/pve/lxc/{id}.conf", line) for id, line in lines.items()],
        containers=named,
    )


def _present(text: str) -> str:
    """Without snapshots."""
    return re.split(r"^\[", text, maxsplit=1, flags=re.M)[0]


def _takes_display(host: view.Host) -> str | model.Unknown:
    """The display device of the host's, or driver of one, that is to go; empty when none is."""
    for device in taken.of(host):
        there = device.there
        if isinstance(there, model.Unknown):
            return there
        if there and there.class_code.startswith("03") and there.driver not in view.HOST_DRIVERS_NONE:
            return there.address
    pci = host.facts.pci
    drivers = blacklists.wanted(host).keys() & derive.DISPLAY_DRIVERS
    if not drivers or isinstance(pci, model.Unknown):
        return pci if drivers and isinstance(pci, model.Unknown) else ""
    return next((name for dev in pci if (name := module_names.normal(dev.driver_name)) in drivers), "")
