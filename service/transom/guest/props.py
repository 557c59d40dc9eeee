"""Property strings (``0000:00:02.0,legacy-igd=1``): parsed by a schema, compared with defaults, rewritten with care.

Facts about the syntax are qemu-server's own schemas and ``parse_property_string``: comma-separated ``key=value``, at most one
value without a key (the default key), key order without meaning, booleans ``1|on|yes|true``.
"""

from __future__ import annotations

import dataclasses
import decimal
import re
import urllib.parse
from collections.abc import Callable, Mapping

Normal = Callable[[str], str]

_TRUE = re.compile(r"1|on|yes|true", re.IGNORECASE)
_FALSE = re.compile(r"0|off|no|false", re.IGNORECASE)
# As in PVE's JSONSchema; an exponent beyond two digits is no number of a VM, and would only cost memory.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_RANGE = re.compile(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", re.ASCII)
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
    """A number (``1.50``, ``.5``, ``1e3``) in its shortest decimal form; ValueError otherwise."""
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not a number")
    short = decimal.Decimal(value).normalize()
    return f"{short:f}" if short else "0"


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


def urlencoded(value: str) -> str:
    """The text behind ``%20`` and the like: ``%2f`` is ``%2F``."""
    return urllib.parse.unquote(value, errors="surrogateescape")


def ranges(separator: str) -> Normal:
    """A normaliser of a set of numbers: ``0;1;2;5`` is ``0-2;5``, in any order."""

    def normal(value: str) -> str:
        members: set[int] = set()
        for part in value.split(separator):
            match = _RANGE.fullmatch(part)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise ValueError(f"{part!r} is neither a number nor a range such as 0-3")
            members.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        return separator.join(map(str, sorted(members)))

    return normal


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
    """The properties of one kind of value. ``aliases`` maps other names; ``needs`` names those of which one must be given.

    ``finish`` sees the complete values, for what one property means for another.
    """

    props: Mapping[str, Prop]
    default_key: str = ""
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    finish: Callable[[dict[str, str]], dict[str, str]] = dict

    @property
    def made(self) -> frozenset[str]:
        return frozenset(name for name, prop in self.props.items() if prop.made)

    def foreign(self, key: str, wanted: Mapping[str, str]) -> bool:
        """Whether ``key`` of an observed value is none of the document's business.

        That is what the server makes or a newer PVE knows, when ``wanted`` does not name it.
        """
        return key not in wanted and (key not in self.props or self.props[key].made)


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
    return dict(sorted(schema.finish(values).items()))


def same(schema: Schema, wanted: str, observed: str) -> bool:
    """Whether both mean the same; a foreign property of ``observed`` counts only when ``wanted`` names it."""
    try:
        want, got = split(schema, wanted), split(schema, observed)
        return complete(schema, want) == complete(schema, counted(schema, want, got))
    except ValueError:
        return wanted == observed


def counted(schema: Schema, want: Mapping[str, str], got: Mapping[str, str]) -> dict[str, str]:
    """``got`` without its foreign properties."""
    return {key: value for key, value in got.items() if not schema.foreign(key, want)}


def merge(schema: Schema, wanted: str, observed: str) -> str:
    """``wanted`` with the foreign properties of ``observed``."""
    try:
        want, got = split(schema, wanted), split(schema, observed)
    except ValueError:
        return wanted
    kept = [f"{key}={got[key]}" for key in sorted(got) if schema.foreign(key, want)]
    return ",".join([part for part in (wanted.strip(), *kept) if part]) if kept else wanted
