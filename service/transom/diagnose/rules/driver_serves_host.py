"""A driver that is to be blacklisted also drives a storage, network, USB or display device that stays with the host."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _mates, _users

RULE = rule.Rule(
    id="driver-serves-host",
    scope=rule.Scope.NODE,
    needs=("/sys/bus/pci/devices",),
    who=model.Who.REFUSE,
    remedy="Take the driver out of blacklist, or of the kernel command line: vfio_ids and its softdep take the device without "
    "that; or declare the other device if it is to be given away too.",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)


def judge(host: view.Host) -> rule.Verdict:
    return _users.judge(host, (*_mates.VITAL, "03"), "the host's")
