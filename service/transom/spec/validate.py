"""One plain document → its model, or every mistake in it with line, path, reason and hint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping

import pydantic
import pydantic_core

from transom.spec import bundle, documents, gaps, problems, remainder, shape, yamltree

_NUMBERS = {
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
}
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclasses.dataclass(frozen=True)
class Whereabouts:
    """What relative paths are relative to: the folder of the document's file, and the user's home. Absolute paths."""

    folder: str
    home: str


Zones = Callable[[], Collection[str]]
"""Gives the names of the time zones that this machine knows; asked only when a document names one."""


def document(
    tree: yamltree.Tree, file: str, where: Whereabouts | None = None, zones: Zones | None = None
) -> tuple[bundle.Loaded | None, list[problems.Problem]]:
    """The document of ``tree`` and what is wrong with it.

    A wrong document is what is left of it, with its ``gaps``; None when nothing is.
    """
    lines = {problems.dotted(path): line for path, line in tree.lines.items()}
    kind, wrong = _kind(tree, file)
    if kind is None:
        return None, wrong
    context = {**(dataclasses.asdict(where) if where else {}), **({"zones": zones} if zones else {})}
    found: list[pydantic_core.ErrorDetails] = []
    try:
        whole = bundle.Loaded(kind.model_validate(tree.data, context=context), file, lines)
        if not tree.bad:
            return whole, []
    except pydantic.ValidationError as error:
        found = error.errors()
    rest = remainder.read(kind, tree, file, found, context)
    causes = [(_path(item), item) for item in _causes(found)] + list(rest.combined if rest else ())
    wrong = [_problem(item, path, kind, tree, file) for path, item in causes]
    return (bundle.Loaded(rest.document, file, lines, rest.gaps) if rest else None), wrong


def _kind(tree: yamltree.Tree, file: str) -> tuple[type[documents.Document] | None, list[problems.Problem]]:
    named = tree.data.get("kind")
    if isinstance(named, str) and named in documents.KINDS:
        return documents.KINDS[named], []
    kinds = ", ".join(documents.KINDS)
    if "kind" not in tree.data:
        return None, [problems.Problem(file, _line(tree, ()), "kind", f"is missing; it is one of {kinds}")]
    hint = problems.did_you_mean(named, documents.KINDS) if isinstance(named, str) else ""
    reason = f"{problems.shown(named)} is none of {kinds}{hint}"
    return None, [problems.Problem(file, _line(tree, ("kind",)), "kind", reason)]


def _causes(found: list[pydantic_core.ErrorDetails]) -> list[pydantic_core.ErrorDetails]:
    """Without what follows from another mistake: a list is "too short" when its only item is wrong."""
    return [
        item
        for item in found
        if item["type"] != "too_short" or not any(_below(item["loc"], other["loc"]) for other in found)
    ]


def _below(path: tuple[problems.Part, ...], other: tuple[problems.Part, ...]) -> bool:
    return len(other) > len(path) and other[: len(path)] == path


def _path(error: pydantic_core.ErrorDetails) -> gaps.Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _problem(
    error: pydantic_core.ErrorDetails, path: gaps.Path, kind: type[documents.Document], tree: yamltree.Tree, file: str
) -> problems.Problem:
    return problems.Problem(file, _line(tree, path), problems.dotted(path), _reason(error, kind, path))


def _line(tree: yamltree.Tree, path: yamltree.Path) -> int:
    return next((tree.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in tree.lines), 0)


def _reason(error: pydantic_core.ErrorDetails, kind: type[documents.Document], path: yamltree.Path) -> str:
    said, context = error["type"], error.get("ctx", {})
    if said == "missing":
        return "is missing"
    if said == "extra_forbidden":
        known = shape.fields(shape.at(kind, path[:-1]))
        return f"is not a field here{problems.did_you_mean(str(path[-1]), known) or _listed(known)}"
    if said == "literal_error":
        return _not_one_of(error["input"], context["expected"])
    if said in _NUMBERS:
        return f"{problems.shown(error['input'])} {_NUMBERS[said].format(**context)}"
    if said in _WANTED:
        return _not_a(error["input"], _WANTED[said])
    if said == "too_short":
        return f"needs at least {context['min_length']} of them"
    if said == "too_long":
        return f"holds {context['actual_length']}, at most {context['max_length']} are possible"
    return error["msg"]


def _not_a(value: object, wanted: str) -> str:
    if isinstance(value, bool) and wanted == "text":
        return "is true or false where text is wanted; put it in quotes, or write 1 or 0 where PVE wants a number"
    if isinstance(value, Mapping | list):
        return f"is {'a list' if isinstance(value, list) else 'a mapping'} where {wanted} is wanted"
    if wanted in ("a mapping", "a list"):  # the value is not shown: it may be a secret in the wrong place
        return f"is a single value where {wanted} is wanted"
    return f"{problems.shown(value)} is not {wanted}"


def _not_one_of(value: object, expected: str) -> str:
    options = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    hint = problems.did_you_mean(value, options) if isinstance(value, str) else ""
    told = problems.shown(value) if not isinstance(value, dict | list) else "this"
    return f"{told} is not {options[0]}{hint}" if len(options) == 1 else f"{told} is none of {', '.join(options)}{hint}"


def _listed(known: list[str]) -> str:
    return f"; known: {', '.join(known)}" if known else ""
