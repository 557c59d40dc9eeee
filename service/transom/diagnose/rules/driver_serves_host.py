"""A driver that is to be blacklisted also drives a storage, network, USB or display device that stays with the host, or another
that its storage or network hangs on; or the kernel is to refuse a module that these need."""

from __future__ import annotations

from transom import model
from transom.diagnose import blacklists, rule, view
from transom.diagnose.rules import _mates, _users

RULE = rule.Rule(
    id="driver-serves-host",
    scope=rule.Scope.NODE,
    needs=("/sys/bus/pci/devices", "lsblk", "ip route get", "/proc/modules"),
    who=model.Who.REFUSE,
    remedy="Take the driver out of blacklist, or of the kernel command line: vfio_ids and its softdep take the device without "
    "that; or declare the other device if it is to be given away too.",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)
_IDLE = ("03", "04")
"""Classes that carry neither storage nor network: display, sound."""


def judge(host: view.Host) -> rule.Verdict:
    standing = host.facts.standing
    known = [one for one in (standing.disks, standing.links) if not isinstance(one, model.Unknown)]
    lived_by = frozenset(address for vital in known for one in vital for address in one.addresses)
    by_device = _users.judge(host, (*_mates.VITAL, "03"), "the host's", lived_by)
    in_use = blacklists.in_use(host)
    if in_use and not isinstance(by_device, rule.Found):
        named = ", ".join(f"{name} (by {why})" for name, why in in_use.items())
        return rule.found(
            f"the kernel would refuse what the host uses now: {named}",
            [model.Evidence("/proc/modules", f"{name} is in use") for name in in_use],
        )
    if not isinstance(by_device, rule.Clear):
        return by_device
    if blacklists.unread(host):
        return rule.cannot_tell("what needs a module of module_blacklist= was not read")
    unsure = [dev for dev in _users.others(host) if not dev.class_code.startswith(_IDLE)]
    if unsure and len(known) < 2:
        return rule.cannot_tell(f"whether storage or network hangs on {unsure[0].address} ({unsure[0].driver_name})")
    return rule.clear()
