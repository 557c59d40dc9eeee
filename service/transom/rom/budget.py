"""How much one input may cost: counted while reading, so that bombs and endless structures end with a clear refusal."""

from __future__ import annotations

from transom import errors

MIB = 1024 * 1024


class LimitError(errors.RomError):
    """A limit was met: the whole input is refused, for what was not read could be anything."""


class Budget:
    """Counts expanded bytes, structures and depth. Real images of 64 MiB stay below a third of each."""

    def __init__(
        self, size: int, *, one: int = 64 * MIB, total: int | None = None, structures: int = 200_000, depth: int = 32
    ) -> None:
        self.one = one  # bytes that one compressed part may become
        self.left = 96 * MIB + 4 * size if total is None else total
        self._structures = structures
        self._depth = depth

    def expand(self, size: int, offset: int) -> int:
        """Take ``size`` bytes for a part about to be expanded; gives ``size`` back. A part that announces more than one may
        become is not expanded and costs nothing: what stands beside it can still be read."""
        if size > self.one:
            raise errors.RomError(f"a part would expand to {size} bytes, more than {self.one}", offset=offset)
        if size > self.left:
            raise LimitError(f"parts would expand by {size} bytes more, {self.left} are left", offset=offset)
        self.left -= size
        return size

    def room(self) -> int:
        """The most that a part of unannounced size may become."""
        return min(self.one, self.left)

    def structure(self, depth: int, offset: int) -> None:
        """Count one structure at ``depth``."""
        self._structures -= 1
        if self._structures < 0:
            raise LimitError("too many structures", offset=offset)
        if depth > self._depth:
            raise LimitError(f"nested more than {self._depth} deep", offset=offset)
