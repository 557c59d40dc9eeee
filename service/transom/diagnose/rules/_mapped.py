"""The resource mappings that a VM's ``hostpciN`` name and that no Node document makes: somebody else keeps them."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.diagnose import rule, view


@dataclasses.dataclass(frozen=True)
class Named:
    """One ``hostpciN`` that names a mapping; ``mapping`` None when there is none, or the API user may not see it."""

    given: view.Given
    mapping: model.PciMapping | None
    here: bool
    """Whether it has an entry for this node."""


def by_others(guest: view.Guest) -> tuple[Named, ...] | rule.CannotTell:
    """In the order of the numbers; CannotTell when the VM or the mappings could not be read."""
    given, maps = guest.hostpci, guest.host.facts.mappings
    if isinstance(given, model.Unknown):
        return rule.cannot_tell(given.unknown)
    made = {device.mapping for device in guest.host.wish.devices.values()}
    named = [one for one in given if one.value.mapping and one.value.mapping not in made]
    if not named:
        return ()
    if isinstance(maps, model.Unknown):
        return rule.cannot_tell(f"PCI mappings: {maps.unknown}")
    return tuple(_named(guest.host, one, maps.get(one.value.mapping)) for one in named)


def _named(host: view.Host, given: view.Given, mapping: model.PciMapping | None) -> Named:
    return Named(given, mapping, bool(mapping and view.entries(host, mapping)))
