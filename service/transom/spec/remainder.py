"""A wrong document → what is left of it without its mistakes, and where they were. Pure.

Fields are left out one by one; of a list or a mapping always a whole item, since half a disk or half a line of a recipe
would mean something else.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
import pydantic_core

from transom.spec import documents, gaps, problems, shape, yamltree

Found = tuple[gaps.Path, pydantic_core.ErrorDetails]
"""An error with the path, as written, at which it stands."""

UNREAD = "?"
"""Begins what stands where a needed value cannot be read: no name may begin so."""
_NAME = ("metadata", "name")
_ROUNDS = 20
"""Each round leaves out something that encloses what the rounds before left out; documents are not nested that deep."""


@dataclasses.dataclass(frozen=True)
class Remainder:
    """``combined``: mistakes that fields make together, found only now that the wrong ones are out of the way."""

    document: documents.Document
    gaps: gaps.Gaps
    combined: tuple[Found, ...] = ()


def read(
    kind: type[documents.Document],
    tree: yamltree.Tree,
    file: str,
    found: Iterable[pydantic_core.ErrorDetails],
    context: Mapping[str, Any],
) -> Remainder | None:
    """What is left of ``tree`` without the errors ``found`` by validating it; None when nothing can be read of it."""
    cuts = _Cuts(kind, tree, file)
    combined: list[Found] = []
    for path in tree.bad:
        cuts.leave_out(path)
    for error in found:
        cuts.note(_path(error), error)
    for _ in range(_ROUNDS):
        data, known = cuts.rest()
        if data is None:
            return None
        try:
            document = _lenient(kind).model_validate(data, context=dict(context))
        except pydantic.ValidationError as error:
            for item in error.errors():
                path = known.written(_path(item))
                if _is_combined(item, path, known):
                    combined.append((path, item))
                cuts.note(path, item)
        else:
            return Remainder(typing.cast(documents.Document, document), known, tuple(combined))
    return None


def _path(error: pydantic_core.ErrorDetails) -> gaps.Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _is_combined(error: pydantic_core.ErrorDetails, path: gaps.Path, known: gaps.Gaps) -> bool:
    """It tells in ``fields`` which fields it is about, and all of them were read."""
    fields = error.get("ctx", {}).get("fields")
    return fields is not None and not any(known.hide((*path, field)) for field in fields)


class _Cuts:
    """What is left out of one document, growing."""

    def __init__(self, kind: type[documents.Document], tree: yamltree.Tree, file: str) -> None:
        self.kind, self.tree = kind, tree
        self.nameless = f"{UNREAD} ({file}:{tree.lines.get((), 0)})"
        self.wrong: set[gaps.Path] = set()
        self.unsure: set[gaps.Path] = set()
        self.misnamed: set[gaps.Path] = set()

    def note(self, path: gaps.Path, error: pydantic_core.ErrorDetails) -> None:
        if error["type"] == "missing" and self._smallest(path) == path:
            self.unsure.add(path)
            return
        if error["loc"][-1:] == ("[key]",) and error["type"] != "refused":
            self.misnamed.add(path[:-1])
        if error["type"] == "extra_forbidden":
            self._misspelt(path)
        self.leave_out(path)

    def leave_out(self, path: gaps.Path) -> None:
        smallest = self._smallest(path)
        empty = _value(self.tree.data, smallest) is None
        (self.unsure if empty else self.wrong).add(smallest)

    def _smallest(self, path: gaps.Path) -> gaps.Path:
        """The smallest thing around ``path`` that can be left out without changing what the rest means."""
        holder: Any = self.kind
        for index, part in enumerate(path):
            if not shape.is_model(holder):
                return path[: index + 1]
            holder = shape.inside(holder, part)
            if holder is None:
                return path[: index + 1]
        return path

    def _misspelt(self, path: gaps.Path) -> None:
        """An unknown field may be any that is not given, unless its name is near one."""
        holder = shape.at(self.kind, path[:-1])
        given = _value(self.tree.data, path[:-1])
        near = problems.nearest(str(path[-1]), shape.fields(holder))
        for name in [near] if near else shape.fields(holder):
            if isinstance(given, Mapping) and name not in given:
                self.unsure.add((*path[:-1], name))

    def rest(self) -> tuple[dict[str, Any] | None, gaps.Gaps]:
        """The data without what is left out, and the gaps; no data when all is."""
        out = self.wrong | self.unsure
        kept: dict[gaps.Path, tuple[int, ...]] = {}
        data = None if () in out else _without(self.tree.data, (), frozenset(out) - {_NAME}, kept)
        if data is not None:
            data = {**data, "kind": self.tree.data["kind"], "metadata": self._metadata(data.get("metadata"))}
        return data, gaps.Gaps(frozenset(self.wrong), frozenset(self.unsure), frozenset(self.misnamed), kept)

    def _metadata(self, found: Any) -> dict[str, Any]:
        """With the name as it was written, right or not, since others may refer to it so."""
        metadata = found if isinstance(found, dict) else {}
        name = metadata.get("name")
        return {**metadata, "name": problems.printable(name)[:64] if isinstance(name, str) else self.nameless}


def _value(data: Any, path: gaps.Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _without(data: Any, path: gaps.Path, out: frozenset[gaps.Path], kept: dict[gaps.Path, tuple[int, ...]]) -> Any:
    if isinstance(data, dict):
        return {key: _without(value, (*path, key), out, kept) for key, value in data.items() if (*path, key) not in out}
    if isinstance(data, list):
        indexes = tuple(index for index in range(len(data)) if (*path, index) not in out)
        if len(indexes) < len(data):
            kept[path] = indexes
        return [_without(data[index], (*path, index), out, kept) for index in indexes]
    return data


@functools.cache
def _lenient(model: type[pydantic.BaseModel]) -> type[pydantic.BaseModel]:
    """The same model, in which nothing is needed: what is missing is ``UNREAD`` or empty."""
    hints = typing.get_type_hints(model, include_extras=True)
    changed: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        part = shape.bare(field.annotation)
        if shape.is_model(part):
            changed[name] = (_lenient(part), _lenient(part).model_construct())
        elif model is documents.Metadata and name == "name":
            changed[name] = (str, UNREAD)
        elif field.is_required():
            changed[name] = (hints[name], UNREAD)
    return pydantic.create_model(model.__name__, __base__=model, **changed)
