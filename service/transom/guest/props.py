"""Property strings (``0000:00:02.0,legacy-igd=1``): parsed by a schema, compared with defaults, rewritten with care.

Facts about the syntax are qemu-server's own schemas and ``parse_property_string``: comma-separated ``key=value``, at most one
value without a key (the default key), key order without meaning, booleans ``1|on|yes|true``.
"""

from __future__ import annotations

import dataclasses
import decimal
import re
from collections.abc import Callable, Mapping

Normal = Callable[[str], str]

_TRUE = re.compile(r"1|on|yes|true", re.IGNORECASE)
_FALSE = re.compile(r"0|off|no|false", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:([KMGT])(?:iB)?)?")
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def text(value: str) -> str:
    """Taken as it is."""
    return value


def boolean(value: str) -> str:
    """``1`` or ``0``; ValueError otherwise."""
    if _TRUE.fullmatch(value):
        return "1"
    if _FALSE.fullmatch(value):
        return "0"
    raise ValueError(f"{value!r} is not 0 or 1")


def integer(value: str) -> str:
    """A decimal integer without leading zeros; ValueError otherwise."""
    if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
        raise ValueError(f"{value!r} is not a whole number")
    return str(int(value))


def number(value: str) -> str:
    """A decimal number in its shortest form; ValueError otherwise."""
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", value, re.ASCII):
        raise ValueError(f"{value!r} is not a number")
    return f"{decimal.Decimal(value).normalize():f}"


def size(value: str) -> str:
    """A size as bytes (``32G`` → ``34359738368``); ValueError otherwise."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a size such as 32G")
    return str(int(decimal.Decimal(match[1]) * (1 << _UNITS.get(match[2], 0))))


def lower(value: str) -> str:
    return value.lower()


def upper(value: str) -> str:
    return value.upper()


def one_of(*words: str) -> Normal:
    """A normaliser that accepts exactly these words."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return value

    return check


@dataclasses.dataclass(frozen=True)
class Prop:
    """One property. ``default`` is what its absence means (None: nothing known). ``made`` by the server when it is left out."""

    normal: Normal = text
    default: str | None = None
    made: bool = False


@dataclasses.dataclass(frozen=True)
class Schema:
    """The properties of one kind of value. ``aliases`` maps other names; ``needs`` names those of which one must be given."""

    props: Mapping[str, Prop]
    default_key: str = ""
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def made(self) -> frozenset[str]:
        return frozenset(name for name, prop in self.props.items() if prop.made)


def split(schema: Schema, value: str) -> dict[str, str]:
    """The properties as written, by their proper names, in order.

    ValueError when a key comes twice or a value has no key. A key that the schema does not know is kept: a newer PVE may.
    """
    found: dict[str, str] = {}
    for part in value.split(","):
        if not part.strip():
            continue
        key, equals, given = part.partition("=")
        if not equals:
            key, given = schema.default_key, part
        if not key or not given:
            raise ValueError(f"{part!r} is not key=value")
        key = schema.aliases.get(key, key)
        if key in found:
            raise ValueError(f"{key} is given twice")
        found[key] = given
    return found


def parse(schema: Schema, value: str) -> dict[str, str]:
    """The properties in normal form with defaults filled in.

    ValueError names what is wrong, a property that the schema does not know included.
    """
    found = split(schema, value)
    for key in found:
        if key not in schema.props:
            raise ValueError(f"there is no property {key!r}")
    if schema.needs and not any(key in found for key in schema.needs):
        raise ValueError(f"{' or '.join(schema.needs)} is missing")
    return complete(schema, found)


def complete(schema: Schema, found: Mapping[str, str]) -> dict[str, str]:
    """``found`` in normal form with defaults filled in, sorted; unknown properties stay as they are. ValueError as in ``parse``."""
    values = {name: prop.default for name, prop in schema.props.items() if prop.default is not None}
    for key, given in found.items():
        try:
            values[key] = schema.props[key].normal(given) if key in schema.props else given
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return dict(sorted(values.items()))


def same(schema: Schema, wanted: str, observed: str) -> bool:
    """Whether both mean the same; a property that the server makes counts only when ``wanted`` names it."""
    try:
        want, got = split(schema, wanted), split(schema, observed)
        left = schema.made - want.keys()
        return complete(schema, want) == complete(schema, {key: got[key] for key in got if key not in left})
    except ValueError:
        return wanted == observed


def merge(schema: Schema, wanted: str, observed: str) -> str:
    """``wanted`` with the server-made properties of ``observed`` that it leaves out."""
    try:
        want, got = split(schema, wanted), split(schema, observed)
    except ValueError:
        return wanted
    kept = [f"{key}={got[key]}" for key in sorted(schema.made - want.keys()) if key in got]
    return ",".join([part for part in (wanted.strip(), *kept) if part]) if kept else wanted
