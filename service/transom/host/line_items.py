"""Settings whose every item is a line of its own: adding, removing and taking over such lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from transom import errors
from transom.host import lines, modprobe, setting


@dataclasses.dataclass(frozen=True)
class Place:
    """An item and the physical lines (1-based, both included) that give it."""

    value: str
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Form:
    """How items stand in a file: ``places(text)`` finds them, ``line(item)`` writes one, ``unfinished(text)`` tells an open end."""

    places: Callable[[str], tuple[Place, ...]]
    line: Callable[[str], str]
    unfinished: Callable[[str], bool]


def edit(form: Form, text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """``HostSetting.edit`` for one item a line."""
    unwanted = owned - set(wanted)
    places = form.places(text)
    gone = {at for place in places if place.value in unwanted for at in range(place.first, place.last + 1)}
    text = lines.drop(text, gone) if gone else text
    have = {place.value for place in places}
    for item in dict.fromkeys(wanted):
        if item not in have:
            text = lines.add(text, form.line(item), unfinished=form.unfinished(text))
    return text


def release(form: Form, text: str, line: int, item: str) -> str:
    """``HostSetting.release`` for one item a line: the line becomes a comment. A continued line is one comment to kmod as well."""
    now = lines.behind_taken_over(text, line)
    for place in form.places(text):
        if place.first <= now <= place.last and place.value == item:
            return replaced(text, place.first, place.last, "", again=now != line)
    raise errors.Void(f"line {line} no longer gives {item}")


def replaced(text: str, first: int, last: int, new: str, *, again: bool) -> str:
    """``text`` with ``new`` (whole lines, or nothing) for the lines ``first`` to ``last``, which stay as one comment."""
    physical = lines.split(text)
    before, old, behind = physical[: first - 1], physical[first - 1 : last], physical[last:]
    return "".join([*before, lines.taken_over("".join(old), new, again=again), *behind])


def modprobe_form(value: Callable[[modprobe.Directive], str], line: Callable[[str], str]) -> Form:
    """The form of a modprobe.d line; ``value(directive)`` is empty for lines of another kind."""

    def places(text: str) -> tuple[Place, ...]:
        return tuple(Place(value(one), one.first, one.last) for one in modprobe.directives(text, "") if value(one))

    return Form(places, line, modprobe.unfinished)


def items(form: Form, text: str, path: str) -> tuple[setting.Item, ...]:
    """Every item of one file."""
    return tuple(setting.Item(place.value, path, place.first) for place in form.places(text))
