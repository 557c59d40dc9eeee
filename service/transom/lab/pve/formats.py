"""PVE's parameter schema: what a property may hold, and the words in which a violation is told.

`Prop` describes one property; `check_object` and `check_prop` collect {path: message}; `parse_property_string` reads
`key=value,…` strings such as `hostpci0`. Named scalar formats live in `scalars`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transom.lab.pve import scalars

Value = object  # str, int, float, bool, None, list: as form or JSON gave it
Errors = dict[str, str]
Fields = Mapping[str, "Prop"]

UNDEFINED = "property is not defined in schema and the schema does not allow additional properties"


class FormatError(ValueError):
    """A property string that does not fit; the text is PVE's, final newline included."""


@dataclass(frozen=True)
class Prop:
    """One property. `fields` is the format of a property string, `format` names a scalar format."""

    type: str = "string"
    optional: bool = True
    enum: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    fields: Fields | None = None
    default_key: bool = False
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    min_length: int = 0
    alias: str = ""
    key_alias: str = ""
    requires: str = ""
    check: Callable[[dict[str, str]], None] | None = None
    items: Prop | None = None


def add(errors: Errors, path: str, text: str) -> None:
    """PVE joins several messages of one property with a literal backslash-n."""
    errors[path] = f"{errors[path]}\\n{text}" if path in errors else text


def parse_boolean(value: str) -> str | None:
    if re.fullmatch(r"1|on|yes|true", value, re.I):
        return "1"
    return "0" if re.fullmatch(r"0|off|no|false", value, re.I) else None


def is_integer(value: Value) -> bool:
    return re.fullmatch(r"[+-]?\d+\n?", str(value)) is not None  # Perl's $ lets one final newline pass


def is_number(value: Value) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\n?", str(value)) is not None


def check_type(prop: Prop, value: Value, path: str, errors: Errors) -> bool:
    kind = prop.type
    if kind == "array":
        if not isinstance(value, list):
            add(errors, path, "type check ('array') failed")
        return isinstance(value, list)
    if isinstance(value, (list, dict)):
        add(errors, path, f"type check ('{kind}') failed - got {'ARRAY' if isinstance(value, list) else 'HASH'}")
        return False
    good = {
        "boolean": isinstance(value, bool) or str(value) in ("0", "1"),
        "integer": is_integer(value),
        "number": is_number(value),
    }.get(kind, True)
    if not good:
        add(errors, path, f"type check ('{kind}') failed - got '{value}'")
    return good


def check_scalar(prop: Prop, text: str, path: str) -> str:
    """The complaint about a value of the right type, or ''."""
    if prop.fields is not None or prop.format:
        try:
            check_format(prop, text, path)
        except (FormatError, scalars.Unfit) as error:
            return f"invalid format - {error}"
    if prop.pattern and not re.fullmatch(rf"(?:{prop.pattern})\n?", text):
        return "value does not match the regex pattern"
    if prop.max_length is not None and len(text) > prop.max_length:
        return f"value may only be {prop.max_length} characters long"
    if len(text) < prop.min_length:
        return f"value must be at least {prop.min_length} characters long"
    if is_number(text):
        number = float(text)
        if prop.maximum is not None and number > prop.maximum:
            return f"value must have a maximum value of {shown(prop.maximum)}"
        if prop.minimum is not None and number < prop.minimum:
            return f"value must have a minimum value of {shown(prop.minimum)}"
    if prop.enum and text not in prop.enum:
        return f"value '{text}' does not have a value in the enumeration '{', '.join(prop.enum)}'"
    return ""


def shown(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)


def check_prop(prop: Prop, value: Value, path: str, errors: Errors) -> None:
    if prop.alias:
        return
    if value is None:
        if not prop.optional:
            add(errors, path, "property is missing and it is not optional")
        return
    if not check_type(prop, value, path, errors):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_prop(prop.items or Prop(), item, f"{path}[{index}]", errors)
        return
    if complaint := check_scalar(prop, as_text(value), path):
        add(errors, path, complaint)


def as_text(value: Value) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def check_object(fields: Fields, values: Mapping[str, Value], path: str = "") -> Errors:
    """All complaints about `values`, by path."""
    errors: Errors = {}
    dot = f"{path}." if path else ""
    for name, prop in fields.items():
        check_prop(prop, values.get(name), dot + name, errors)
    for name in values:
        if name not in fields:
            add(errors, dot + name, UNDEFINED)
        elif (needed := fields[name].requires) and values.get(needed) is None:
            add(errors, dot + needed, f"missing property required by '{dot}{name}'")
    return errors


def check_format(prop: Prop, text: str, path: str = "") -> None:
    """Raises FormatError or scalars.Unfit when `text` does not fit the format of `prop`."""
    if prop.fields is not None:
        parsed = parse_property_string(prop.fields, text, path)
        if prop.check:
            prop.check(parsed)
        return
    name, how = prop.format, ""
    for ending in ("-list", "-opt"):
        if name.endswith(ending) and name not in scalars.FORMATS:
            name, how = name.removesuffix(ending), ending
    parts = scalars.split_list(text) if how == "-list" else [text] if text or not how else []
    for part in parts:
        scalars.FORMATS[name](part)


def parse_property_string(fields: Fields, text: str, path: str = "") -> dict[str, str]:
    """{key: value} of `a=b,c=d`, a bare value under the default key; raises FormatError in PVE's words."""
    found: dict[str, str] = {}
    default_seen = False
    for part in text.split(","):
        if not part.strip():
            continue
        key, sign, value = part.partition("=")
        if sign and key and value:
            take(fields, found, key, value)
        elif not sign:
            default = next((name for name, prop in fields.items() if prop.default_key), "")
            if not default:
                raise FormatError("value without key, but schema does not define a default key\n")
            if default_seen or found.get(default):
                raise FormatError(f"duplicate key in comma-separated list property: {default}\n")
            default_seen = True
            found[default] = normal(fields[default], part)
        else:
            raise FormatError("missing key in comma-separated list property\n")
    if errors := check_object(fields, found, path):
        raise FormatError("format error\n" + "".join(f"{key}: {errors[key]}\n" for key in sorted(errors)))
    return found


def take(fields: Fields, found: dict[str, str], key: str, value: str) -> None:
    if key in found:
        raise FormatError(f"duplicate key in comma-separated list property: {key}\n")
    prop = fields.get(key)
    if prop and prop.alias:
        if prop.key_alias:
            if prop.key_alias in found:
                raise FormatError(f"key alias '{prop.key_alias}' is already defined\n")
            found[prop.key_alias] = key
        key, prop = prop.alias, fields.get(prop.alias)
        if key in found:
            raise FormatError(f"key '{key}' is already defined (via alias)\n")
    found[key] = normal(prop, value) if prop else value


def normal(prop: Prop, value: str) -> str:
    return (parse_boolean(value) or value) if prop.type == "boolean" else value
