"""The seam of a host setting: what it manages, how its files read together, how our own file is edited.

A setting manages *items*: short canonical strings (``intel_iommu=on``, ``vfio_pci``, ``8086:9bc8``, ``i915``). Files hold items
on lines; the system reads several files in an order, and the setting knows that order. Everything is text in, text out.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable

from transom import model
from transom.spec import wish


@dataclasses.dataclass(frozen=True)
class Item:
    """One item as some file gives it."""

    value: str
    path: str
    line: int
    """1-based; 0 when the file is not made of lines."""
    hides: bool = False
    """True: this line gives no item to rely on (``value`` may be none) but can make what other files give void: it provides
    nothing, and ``clashes`` judges it."""

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Clash:
    """A foreign item that contradicts a wanted one: neither can be had while both stand."""

    want: str
    item: Item
    reason: str
    part: str = ""
    """What of the item contradicts, where the rest of it does not."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """What of the wanted items applies to this host, and why the rest does not."""

    wants: tuple[wish.Want, ...]
    skipped: tuple[model.Noop, ...] = ()
    instead: str = ""
    """Why the setting as a whole is not for this host, where another one has the same wishes."""


@dataclasses.dataclass(frozen=True)
class HostSetting:
    """One host setting, as plain functions.

    ``select(wants, facts)``: drops what this kernel does not need, with the reason; Unknown when that cannot be told.
    ``read(facts)``: every item of every file, in the order in which the system reads them; Unknown if any file is.
    ``clashes(wants, items)``: the *foreign* items (path is not ours) that contradict what is wanted.
    ``edit(text, owned, wanted)``: the text of our own file with exactly ``wanted`` of ours in it: items of ``owned`` that are not
    wanted go, wanted ones that are missing come, every other line stays to the byte. ``""`` when nothing is left.
    ``effective(item, facts)``: whether the running system shows it; Unknown when that cannot be told.
    ``gives(value, want)``: whether an item with that value gives the wanted one.
    ``release(text, line, item)``: a foreign file's text with that line taken over: commented out with a mark, and what else the
    line gave kept on a line of its own. errors.Void when the line does not give the item (any more), errors.Rejected when only
    a person can edit it. For a line that ``hides``, ``item`` is its value: the line is changed so that it no longer does.
    """

    key: str
    path: str
    after: tuple[model.Step, ...]
    impact: model.Impact
    select: Callable[[tuple[wish.Want, ...], model.Facts], Selection | model.Unknown]
    read: Callable[[model.Facts], tuple[Item, ...] | model.Unknown]
    clashes: Callable[[tuple[str, ...], tuple[Item, ...]], tuple[Clash, ...]]
    edit: Callable[[str, frozenset[str], tuple[str, ...]], str]
    effective: Callable[[str, model.Facts], bool | model.Unknown]
    release: Callable[[str, int, str], str]
    gives: Callable[[str, str], bool] = operator.eq
    shared: bool = False
    """``path`` is the user's own file, where our items stand among others': which are ours, the ledger alone says."""
    mode: int = 0o644
    """Of a file that we make."""
    whole: bool = False
    """Items stand together on one line and the last line wins (``ids=a,b``): they are given all together or not at all."""
