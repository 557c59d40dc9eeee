"""Legacy IGD mode wants the literal `vga: none`; `type=none` fails too."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-vga",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Set vga: none, exactly so.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    vga = config.get("vga", "")
    return _legacy.judge(
        guest,
        "legacy IGD assignment requires VGA mode to be 'none'",
        lambda _: vga != "none",
        "hostpci",
        "vga",
        also=("vga",),
    )
