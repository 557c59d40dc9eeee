"""More CPUs at start than there are cores: PVE hands it on, QEMU refuses."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="vcpus-over-topology",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Lower vcpus to {most}, or give the VM more cores or sockets.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    most = _number(config, "cores") * _number(config, "sockets")
    vcpus = config.get("vcpus", "")
    if not vcpus.isdecimal() or int(vcpus) <= most:
        return rule.clear()
    return rule.found(
        "VM start fails with `Invalid CPU topology: maxcpus must be equal to or greater than smp`",
        [guest.evidence(key) for key in ("vcpus", "cores", "sockets")],
        holds=guest.names("vcpus", "cores", "sockets"),
        most=str(most),
    )


def _number(config: Mapping[str, str], key: str) -> int:
    """PVE's own default is 1."""
    value = config.get(key, "1")
    return int(value) if value.isdecimal() else 1
