"""Documents that have been read, with the place of every value; and their plain form for the store."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pydantic

from transom import errors
from transom.spec import documents, problems
from transom.spec import gaps as holes  # "gaps" is also a field here

D = TypeVar("D", bound=documents.Envelope)


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One document and where it came from. ``lines`` maps a dotted path (``spec.devices.igpu.id``) to its 1-based line.

    With ``gaps`` it is what is left of a wrong document: only for finding further mistakes, never handed out as read.
    """

    document: documents.Document
    file: str
    lines: Mapping[str, int]
    gaps: holes.Gaps = holes.NONE

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def name(self) -> str:
        return self.document.metadata.name

    @property
    def title(self) -> str:
        """``Node/pve1``"""
        return f"{self.kind}/{self.name}"

    def place(self, *parts: problems.Part) -> str:
        """``fleet.yaml:14`` of the value at ``parts``, or of the nearest thing around it."""
        line = self.line(*parts)
        return f"{self.file}:{line}" if line else self.file

    def line(self, *parts: problems.Part) -> int:
        """1-based; 0 when nothing of the document has a line."""
        written = self.gaps.written(parts)
        for end in range(len(written), -1, -1):
            line = self.lines.get(problems.dotted(written[:end]), 0)
            if line:
                return line
        return 0

    def problem(self, parts: tuple[problems.Part, ...], reason: str) -> problems.Problem:
        """A mistake of this document at ``parts``."""
        return problems.Problem(self.file, self.line(*parts), problems.dotted(self.gaps.written(parts)), reason)

    def stands(self, *parts: problems.Part) -> bool:
        """Whether a value stands at ``parts`` that was left out, being wrong."""
        return parts in self.gaps.wrong

    def hides(self, *parts: problems.Part) -> bool:
        """Whether what is meant at ``parts`` cannot be told, when nothing is left there."""
        return self.gaps.hide(parts)

    def touched(self, *parts: problems.Part) -> bool:
        """Whether anything at, above or below ``parts`` cannot be told."""
        return self.gaps.touch(parts)


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Documents that belong together: the user's ``own``, and the recipes that ship with Transom."""

    own: tuple[Loaded, ...]
    shipped: tuple[Loaded, ...] = ()
    stored: frozenset[str] = frozenset()
    """Titles of those of ``own`` that were stored before, and stand in no file that is handed in now."""

    def __iter__(self) -> Iterator[Loaded]:
        yield from self.own
        yield from self.shipped

    def of(self, kind: type[D]) -> dict[str, tuple[Loaded, D]]:
        """Every document of one kind by name, in the order in which they stand; the first of a name."""
        found: dict[str, tuple[Loaded, D]] = {}
        for item in self:
            if isinstance(item.document, kind):
                found.setdefault(item.name, (item, item.document))
        return found


def dump(loaded: Loaded) -> dict[str, Any]:
    """The document with its origin in JSON types; ``from_plain`` gives the same value back."""
    return {"document": content(loaded), "file": loaded.file, "lines": dict(loaded.lines)}


def content(loaded: Loaded) -> dict[str, Any]:
    """The document alone, as it was written, values in their canonical spelling and paths absolute."""
    return loaded.document.model_dump(mode="json", by_alias=True, exclude_unset=True)


def from_plain(data: Mapping[str, Any]) -> Loaded:
    """The value that ``dump`` made; SpecError when this version of Transom does not know it."""
    raw, file = data["document"], data["file"]
    try:
        document = documents.KINDS[raw["kind"]].model_validate(raw)
    except (KeyError, pydantic.ValidationError) as error:
        raise errors.SpecError([f"{file}: a stored document does not fit this version of Transom: {error}"]) from error
    return Loaded(document, file, dict(data["lines"]))


def fingerprint(bundle: Bundle) -> str:
    """SHA-256 in hex of what the documents say.

    Their order, files and lines do not count, nor do shipped recipes that no VM uses.
    """
    used = {item.document.spec.recipe for item in bundle.own if isinstance(item.document, documents.VirtualMachine)}
    chosen = [*bundle.own, *(item for item in bundle.shipped if item.name in used)]
    said = sorted(json.dumps(content(item), sort_keys=True, ensure_ascii=False) for item in chosen)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
