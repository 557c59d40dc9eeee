"""The seam of a VM field: which keys of a PVE configuration it owns, and what equality means for their values.

Values are PVE's own text (``0000:00:02.0,legacy-igd=1``). A field never sees the server: text in, text out.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Callable


class Route(enum.StrEnum):
    """Who may write the value: an API token, or root over SSH (PVE refuses root-only keys to every token)."""

    API = "api"
    ROOT = "root"


@dataclasses.dataclass(frozen=True)
class VmField:
    """One kind of key.

    ``parse(value)``: the value as comparable properties with PVE's defaults filled in; ValueError names what is wrong.
    ``same(wanted, observed)``: whether PVE means the same by both; server-made parts (a size, a MAC that the document leaves out)
    do not count. Never raises: what cannot be parsed is compared as text.
    ``merge(wanted, observed)``: the value to write so that server-made parts of ``observed`` (volume name, MAC, uuid) are kept.
    ``route(value)``: who may write it.
    ``live``: whether PVE writes it to a running VM's configuration without asking QEMU (qemu-server, "fast_plug_option"). Any other
    change may stay pending until a restart, by the guest's type, its machine version and its `hotplug` list: only trying tells.
    """

    name: str
    key: re.Pattern[str]
    parse: Callable[[str], object]
    same: Callable[[str, str], bool]
    merge: Callable[[str, str], str]
    route: Callable[[str], Route]
    live: bool = False
    holds_data: bool = False
    """A disk of some kind: the key is never deleted, for that detaches what may hold somebody's data."""
