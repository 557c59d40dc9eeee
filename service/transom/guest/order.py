"""In which order PVE starts guests, and shuts them down: by ``startup: order=N``, those without one last, then by id.

Source: PVE::API2::Nodes, ``startall`` and ``stopall``: the same groups, forwards and backwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

_LAST = 1 << 31


@dataclasses.dataclass(frozen=True)
class Startup:
    """What ``startup`` says. ``up``: seconds to wait after the start; ``down``: those to shut down in, None for PVE's own."""

    order: int = _LAST
    up: int = 0
    down: int | None = None


def startup(value: str) -> Startup:
    """``order=1,up=30,down=60``, or a number alone for the order. What PVE would not read counts as not said."""
    given: dict[str, int] = {}
    for part in value.replace(" ", ",").split(","):
        name, _, number = part.rpartition("=")
        if number.isdigit() and name in ("", "order", "up", "down"):
            given[name or "order"] = int(number)
    return Startup(given.get("order", _LAST), given.get("up", 0), given.get("down"))


def groups(guests: Mapping[str, Startup]) -> tuple[tuple[str, ...], ...]:
    """``qemu/112`` and its like, those that start together together, first ones first."""
    orders = sorted({one.order for one in guests.values()})
    return tuple(
        tuple(sorted((name for name, one in guests.items() if one.order == order), key=number)) for order in orders
    )


def number(guest: str) -> int:
    """Of ``qemu/112``: 112."""
    return int(guest.partition("/")[2])


def tool(guest: str) -> str:
    """The command that knows ``guest``."""
    return "pct" if guest.startswith("lxc/") else "qm"


def named(guests: Sequence[str]) -> str:
    """``VM 101, CT 104``."""
    return ", ".join(f"{'CT' if one.startswith('lxc/') else 'VM'} {number(one)}" for one in guests)
