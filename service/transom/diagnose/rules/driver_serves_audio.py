"""A driver that is to be blacklisted also drives a sound device that stays with the host: it falls silent, and nothing else."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _users

RULE = rule.Rule(
    id="driver-serves-audio",
    scope=rule.Scope.NODE,
    needs=("/sys/bus/pci/devices",),
    who=model.Who.REPORT,
    remedy="When the host needs no sound, say so: accept: [driver-serves-audio] in the Node document. Otherwise take the driver "
    "out of blacklist.",
    when=rule.When.HOST,
)


def judge(host: view.Host) -> rule.Verdict:
    return _users.judge(host, ("0401", "0403"), "the host's sound")
