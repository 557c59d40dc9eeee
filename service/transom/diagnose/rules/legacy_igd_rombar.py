"""Legacy IGD mode needs the ROM BAR."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-rombar",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Drop rombar=0.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    return _legacy.judge(
        guest, "legacy IGD assignment requires rombar to be enabled", lambda one: not one.value.rombar, "hostpci"
    )
