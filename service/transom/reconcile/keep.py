"""Why a file of the library stays: documents, nodes, what is under way, what is young. What is not known keeps it."""

from __future__ import annotations

from collections.abc import Iterable

from transom import errors
from transom.reconcile import backend, library, papers
from transom.spec import wish
from transom.store import records, store


def placed(kept: store.Store, nodes: Iterable[wish.NodeWish]) -> list[tuple[str, str]]:
    """(node, SHA-256) of every ROM that we have placed, by the ledgers."""
    found = []
    for node in nodes:
        for path, entry in kept.ledger(node.name).items():
            if path.startswith("rom/") and entry.applied:
                found.append((node.name, entry.applied))
    return found


class Judge:
    """Of one moment. ``asked``: what operations that are open have handed in. ``since``: what is younger stays, whether anything
    needs it or not."""

    def __init__(
        self,
        kept: store.Store,
        shelf: library.Library,
        sheets: papers.Papers,
        *,
        asked: Iterable[wish.RomWish],
        since: float,
    ) -> None:
        self._since = since
        self._wanted: dict[str, str] = {}
        self._inputs = dict.fromkeys(shelf.in_use(), "a ROM is being built of it")
        self._placed = {sha256: f"it is on node {node}" for node, sha256 in placed(kept, sheets.all())}
        for rom in (*sheets.roms(), *asked):
            self._note(rom, shelf)
        for row in kept.roms.all():
            if row.state == records.BUILT and (why := self._wanted.get(row.key) or self._placed.get(row.sha256)):
                self._inputs |= {one["sha256"]: f"a ROM was built of it: {why}" for one in row.inputs}

    def _note(self, rom: wish.RomWish, shelf: library.Library) -> None:
        if rom.build is None:
            return
        self._inputs |= {one.sha256: f"{rom.document} names it" for one in rom.build.inputs if one.sha256}
        try:
            row = shelf.row(rom.build)
        except errors.TransomError:
            self._unknown = f"{rom.document} may want it: its inputs cannot be read"
        else:
            self._wanted |= {row.key: f"{rom.document} wants it"} if row else {}

    _unknown = ""

    def why(self, row: backend.RomRow) -> str:
        """What needs it; empty when nothing does."""
        if row.kind == "input":
            need = self._inputs.get(row.sha256, "")
        else:
            need = self._wanted.get(row.key) or self._placed.get(row.sha256) or (self._unknown if row.sha256 else "")
        young = "it is younger than the days that were given" if row.at > self._since else ""
        return need or young
