"""Command-line words as PVE's tools read them: positional arguments, then options whose kinds the schema tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from transom.lab.pve import formats
from transom.lab.pve.formats import Fields, Value


class Misused(Exception):
    """The words do not fit; the text is what the tool prints before its usage line."""


@dataclass
class Parsed:
    positional: list[str] = field(default_factory=list)
    options: dict[str, Value] = field(default_factory=dict)


def parse(argv: Sequence[str], known: Fields, switches: Mapping[str, bool]) -> Parsed:
    """Reads `--name value`, `-name value`, `--name=value`. `switches`: names beside the schema, True when they take no
    value. All unknown options are told at once."""
    found, unknown, rest = Parsed(), [], list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            found.positional.append(word)
            continue
        name, sign, value = word.lstrip("-").partition("=")
        if name not in known and name not in switches:
            unknown.append(f"Unknown option: {name}")
            continue
        if not sign:
            value = take_value(name, rest, known, switches)
        prop = known.get(name)
        if prop and prop.type == "array":
            old = found.options.setdefault(name, [])
            assert isinstance(old, list)
            old.append(value)
        else:
            flag = formats.parse_boolean(value) if prop and prop.type == "boolean" else None
            found.options[name] = flag or value
    if unknown:
        raise Misused("\n".join([*unknown, "400 unable to parse option"]))
    return found


def take_value(name: str, rest: list[str], known: Fields, switches: Mapping[str, bool]) -> str:
    """A flag may stand alone; everything else takes the next word, whatever it looks like."""
    flag = switches[name] if name in switches else known[name].type == "boolean"
    if flag and (not rest or rest[0].startswith("-") or name in switches):
        return "1"
    if not rest:
        raise Misused(f"Option {name} requires an argument\n400 unable to parse option")
    return rest.pop(0)
