"""Legacy IGD mode and x-vga exclude each other; the web UI's "Primary GPU" sets x-vga."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-xvga",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Drop x-vga=1 (in the web UI: Primary GPU).",
)


def judge(guest: view.Guest) -> rule.Verdict:
    return _legacy.judge(
        guest, "legacy IGD assignment is not compatible with x-vga", lambda one: one.value.x_vga, "hostpci"
    )
