"""The parameters behind the question mark, strictly: a misspelt one is refused rather than left out."""

from __future__ import annotations

from collections.abc import Sequence

from transom import errors
from transom.api import problem, route

_LONGEST = 1000
_SHOWN = 60


def parse(asked: route.Route, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Problem 400 with every mistake: unknown, given twice, or of a value that is none."""
    known = {one.name: one for one in asked.query}
    found = dict(pairs)
    wrong = [(name, _unknown(known)) for name in found if name not in known]
    wrong += [(name, "is given more than once") for name in found if sum(one == name for one, _ in pairs) > 1]
    wrong += [
        (name, reason) for name, value in found.items() if name in known and (reason := _judge(known[name], value))
    ]
    if wrong:
        rows = [errors.Mistake("", 0, name[:_SHOWN], reason) for name, reason in wrong]
        raise problem.bad_request("the query is not as the OpenAPI document says", *rows)
    return found


def _unknown(known: dict[str, route.Query]) -> str:
    return f"is not known here; there is {', '.join(known) or 'none'}"


def _judge(wanted: route.Query, value: str) -> str:
    """What is wrong with ``value``; empty when nothing is."""
    if wanted.values and value not in wanted.values:
        return f"is none of {', '.join(wanted.values)}"
    if wanted.number is not None and not (
        value.isascii() and value.isdigit() and len(value) < 10 and int(value) in wanted.number
    ):
        return f"is no number from {wanted.number.start} to {wanted.number.stop - 1}"
    return f"is longer than {_LONGEST} characters" if len(value) > _LONGEST else ""
