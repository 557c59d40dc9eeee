"""A template with a PCI device: it never runs, and what is cloned from it has the same device."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.diagnose.rules import _legacy

RULE = rule.Rule(
    id="template-hostpci",
    scope=rule.Scope.GUEST,
    needs=("qemu-server/N.conf",),
    who=model.Who.REFUSE,
    remedy="Declare a clone of it, not the template, or take the device out of the template.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    config = guest.config
    if isinstance(config, model.Unknown):
        return rule.cannot_tell(config.unknown)
    given = guest.hostpci
    assert not isinstance(given, model.Unknown)
    if config.get("template", "0") != "1" or not given:
        return rule.clear()
    return _legacy.refused(guest, "you can't start a vm if it's a template", given, "hostpci", also=("template",))
