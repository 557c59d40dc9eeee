"""What differs between the wanted and the observed configuration of a VM, as PVE means the values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom.guest import absent, registry


@dataclasses.dataclass(frozen=True)
class Difference:
    """One key. ``wanted`` None: it should be gone; ``observed`` None: it is not there."""

    key: str
    wanted: str | None
    observed: str | None


def differences(wanted: Mapping[str, str], observed: Mapping[str, str]) -> tuple[Difference, ...]:
    """The differences in the keys that ``wanted`` names, in order of the keys; what only ``observed`` has is nobody's business."""
    return tuple(
        Difference(key, wanted[key], observed.get(key)) for key in sorted(wanted) if not _same(key, wanted, observed)
    )


def _same(key: str, wanted: Mapping[str, str], observed: Mapping[str, str]) -> bool:
    # What an absent key means may hang on others, which are about to be as wanted.
    there = observed[key] if key in observed else absent.meaning(key, {**observed, **wanted})
    return there is not None and registry.field_for(key).same(wanted[key], there)
