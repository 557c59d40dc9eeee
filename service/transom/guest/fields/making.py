"""How the fields are put together: plain values by a normal form, property strings by a schema."""

from __future__ import annotations

import re
from collections.abc import Callable

from transom.guest import field, props


def api(_value: str) -> field.Route:
    """An API token may write it."""
    return field.Route.API


def root(_value: str) -> field.Route:
    """PVE refuses it to every token: ``only root can set '…' config``."""
    return field.Route.ROOT


def wanted_alone(wanted: str, _observed: str) -> str:
    """Nothing of the observed value is kept."""
    return wanted


def plain(
    name: str,
    key: str,
    normal: Callable[[str], object],
    *,
    route: Callable[[str], field.Route] = api,
    live: bool = False,
) -> field.VmField:
    """A field whose values are the same when their normal forms are equal. ``normal`` raises ValueError for a wrong value."""

    def same(wanted: str, observed: str) -> bool:
        try:
            return normal(wanted) == normal(observed)
        except ValueError:
            return wanted == observed

    return field.VmField(name, re.compile(key), normal, same, wanted_alone, route, live)


def property_string(
    name: str,
    key: str,
    schema: props.Schema,
    *,
    route: Callable[[str], field.Route] = api,
    live: bool = False,
) -> field.VmField:
    """A field whose values are property strings of ``schema``."""
    return field.VmField(
        name=name,
        key=re.compile(key),
        parse=lambda value: props.parse(schema, value),
        same=lambda wanted, observed: props.same(schema, wanted, observed),
        merge=lambda wanted, observed: props.merge(schema, wanted, observed),
        route=route,
        live=live,
    )
