"""Legacy IGD mode needs an ISA bridge at 1f.0, which q35 has for itself."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="legacy-igd-q35",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Use a machine pc-i440fx-*, before the guest is installed.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    q35 = view.is_q35(config.get("machine", ""))
    return _legacy.judge(
        guest,
        "legacy IGD assignment is not compatible with q35",
        lambda _: q35,
        "hostpci",
        "machine",
        also=("machine",),
    )
