"""Legacy IGD mode gives the whole device away; a mediated slice of it is another thing."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-mdev",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Drop mdev, or drop legacy-igd.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    return _legacy.judge(
        guest, "legacy IGD assignment is not compatible with mdev", lambda one: bool(one.value.mdev), "hostpci"
    )
