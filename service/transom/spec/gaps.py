"""What could not be read of a wrong document: rules run on the rest, and blame nothing for what is missing there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom.spec import problems

Path = tuple[problems.Part, ...]


@dataclasses.dataclass(frozen=True)
class Gaps:
    """Paths are as written. ``wrong``: something stands there that was left out. ``unsure``: something may be meant there, since
    a field beside it is unknown or a value is empty. ``misnamed``: mappings with a name that cannot be, where any
    other may be meant. ``kept``: of lists with items left out, the written index of the others."""

    wrong: frozenset[Path] = frozenset()
    unsure: frozenset[Path] = frozenset()
    misnamed: frozenset[Path] = frozenset()
    kept: Mapping[Path, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def written(self, path: Path) -> Path:
        """Where the value at ``path`` of what is left stands in the document."""
        found: list[problems.Part] = []
        for part in path:
            indexes = self.kept.get(tuple(found))
            found.append(
                indexes[part] if indexes is not None and isinstance(part, int) and part < len(indexes) else part
            )
        return tuple(found)

    def hide(self, path: Path) -> bool:
        """Whether what is meant at ``path`` cannot be told when nothing is left there."""
        if any(path[:end] in self.wrong or path[:end] in self.unsure for end in range(len(path) + 1)):
            return True
        return any(path[:end] in self.misnamed for end in range(len(path)))

    def touch(self, path: Path) -> bool:
        """Whether anything at, above or below ``path`` cannot be told."""
        return self.hide(path) or any(gap[: len(path)] == path for gap in self.wrong | self.unsure)

    def left_out(self, path: Path) -> list[str]:
        """Names or indexes, as text, of what stands directly below ``path`` and was left out."""
        return sorted(str(gap[-1]) for gap in self.wrong if len(gap) == len(path) + 1 and gap[:-1] == path)


NONE = Gaps()
