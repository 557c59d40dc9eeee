"""A serial or parallel port of the host that is not there: PVE refuses the start."""

from __future__ import annotations

import fnmatch

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="port-missing",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "character devices under /dev"),
    who=model.Who.REFUSE,
    remedy="Name a port that is there ({there}), or plug it in.",
)
_SEEN = ("/dev/tty[A-Z]*", "/dev/serial/by-*/*", "/dev/parport*", "/dev/usb/lp*")
"""Where ports are looked for."""


def judge(guest: view.Guest) -> rule.Verdict:
    config, supplies = guest.config, guest.host.facts.supplies
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    keys = [f"serial{number}" for number in range(4)] + [f"parallel{number}" for number in range(3)]
    named = {key: config[key] for key in keys if config.get(key, "socket") != "socket"}
    if not named:
        return rule.clear()
    ports = supplies if isinstance(supplies, model.Unknown) else supplies.ports
    if isinstance(ports, model.Unknown):
        return rule.cannot_tell(f"ports of the node: {ports.unknown}")
    missing = [key for key, path in named.items() if path not in ports]
    if not missing:
        return rule.clear()
    odd = [named[key] for key in missing if not any(fnmatch.fnmatchcase(named[key], one) for one in _SEEN)]
    if odd:
        return rule.cannot_tell(f"{odd[0]} is none of the places where ports are looked for")
    return rule.found(
        f"VM start fails with `no such {missing[0].rstrip('0123456789')} device`",
        [guest.evidence(key) for key in missing],
        holds=guest.names(*missing),
        there=", ".join(sorted(ports)) or "none is",
    )
