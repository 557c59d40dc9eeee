"""An unbalanced quote in ``args`` drops all of them silently: the VM starts without any."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.guest import words

RULE = rule.Rule(
    id="args-quote",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Close the quote in args; PVE splits the line as Perl's shellwords does.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    line = config.get("args", "")
    try:
        words.split(line)
    except words.Unbalanced as error:
        return rule.found(
            f"PVE would start the VM without any of its args: {error}",
            [guest.evidence("args")],
            holds=guest.names("args"),
        )
    return rule.clear()
