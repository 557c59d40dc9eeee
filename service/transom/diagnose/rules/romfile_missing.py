"""The option ROM that a device names is not on this node: PVE does not look, QEMU does at start."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="romfile-missing",
    scope=rule.Scope.GUEST,
    needs=(
        "qemu-server/N.conf",
        "/usr/share/kvm/*.rom",
    ),
    who=model.Who.REFUSE,
    remedy="Put {file} into /usr/share/kvm of this node, or let a Rom document place it.",
)


def judge(guest: view.Guest) -> rule.Verdict:
    given, roms = guest.hostpci, guest.host.facts.roms
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    placed = guest.wish.rom.filename if guest.wish.rom else ""  # by the plan, and checked by its hash
    named = [one for one in given if one.value.romfile not in ("", placed)]
    if not named:
        return rule.clear()
    if isinstance(roms, model.Unknown):
        return rule.cannot_tell(f"option ROMs: {roms.unknown}")
    other = [one.value.romfile for one in named if "/" in one.value.romfile or not one.value.romfile.endswith(".rom")]
    missing = [one for one in named if one.value.romfile not in roms and one.value.romfile not in other]
    if not missing:
        return rule.cannot_tell(f"{other[0]} is not among the files that are read") if other else rule.clear()
    file = missing[0].value.romfile
    return rule.found(
        f'VM start fails with `failed to find romfile "/usr/share/kvm/{file}"`',
        [guest.evidence(one.key) for one in missing],
        holds=guest.names("hostpci"),
        file=file,
    )
