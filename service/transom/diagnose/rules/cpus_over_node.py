"""A VM with more CPUs than the node has: PVE refuses its start."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="cpus-over-node",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf", "/proc/cpuinfo"),
    who=model.Who.REFUSE,
    remedy="Give the VM {most} or fewer in all: cores times sockets.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config, supplies = guest.config, guest.host.facts.supplies
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    cpus = _number(config, "cores") * _number(config, "sockets")
    if cpus == 1:
        return rule.clear()
    if isinstance(supplies, model.Unknown):
        return rule.cannot_tell(f"CPUs of the node: {supplies.unknown}")
    if cpus <= supplies.cpus:
        return rule.clear()
    return rule.found(
        f"VM start fails with `MAX {supplies.cpus} vcpus allowed per VM on this node`",
        [guest.evidence(key) for key in ("cores", "sockets")],
        holds=guest.names("cores", "sockets"),
        most=str(supplies.cpus),
    )


def _number(config: Mapping[str, str], key: str) -> int:
    """PVE's own default is 1; also for what it would refuse to store."""
    value = config.get(key, "1")
    return int(value) if value.isdecimal() and int(value) else 1
