"""Whether the node goes back by itself after a start, and whether the boot that is to be confirmed has come."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.diagnose import rule, view


@dataclasses.dataclass(frozen=True)
class Standing:
    """The mark on the node; ``here``: it was made in the boot that runs, so the next one is meant."""

    mark: model.Armed
    here: bool


def standing(host: view.Host) -> Standing | rule.Clear | rule.CannotTell:
    """Clear without a mark; CannotTell when the mark or the boot could not be read."""
    keeping, boot_id = host.facts.keeping, host.facts.boot.boot_id
    if isinstance(keeping, model.Unknown):
        return rule.cannot_tell(keeping.unknown)
    if keeping.armed is None:
        return rule.clear()
    if isinstance(boot_id, model.Unknown):
        return rule.cannot_tell(boot_id.unknown)
    return Standing(keeping.armed, here=keeping.armed.boot_id == boot_id)
