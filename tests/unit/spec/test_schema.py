"""The published schema: complete, strict, and true for what ships; and the reference page names every field of it."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from transom import resources
from transom.spec import documents, schema, yamltree

SCHEMA = schema.json_schema()
REFERENCE = pathlib.Path(__file__).parents[3] / "docs" / "documents.md"
SHIPPED = sorted([*resources.examples_dir().glob("*.yaml"), *resources.recipes_dir().glob("*.yaml")])
KNOWN = {
    *(
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "items",
        "maxItems",
        "maximum",
    ),
    *("minItems", "minimum", "oneOf", "pattern", "patternProperties", "properties", "required", "title", "type"),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": int,
    "array": list,
    "object": dict,
}


def faults(part: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    """What of ``value`` the schema refuses: the keywords that the schema uses, and no others are there."""
    assert part.keys() <= KNOWN | {"$schema", "$defs"}
    if "$ref" in part:
        yield from faults(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]], value, at)
    if "oneOf" in part and sum(not list(faults(option, value, at)) for option in part["oneOf"]) != 1:
        yield f"{at}: oneOf"
    if "anyOf" in part and all(list(faults(option, value, at)) for option in part["anyOf"]):
        yield f"{at}: anyOf"
    if "const" in part and value != part["const"]:
        yield f"{at}: const"
    if "enum" in part and value not in part["enum"]:
        yield f"{at}: enum"
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) and not isinstance(value, bool) for kind in kinds):
        yield f"{at}: type"
    elif isinstance(value, dict):
        yield from _object(part, value, at)
    elif isinstance(value, list):
        if not part.get("minItems", 0) <= len(value) <= part.get("maxItems", len(value)):
            yield f"{at}: items"
        for item in value:
            yield from faults(part["items"], item, at)
    elif isinstance(value, str) and not re.search(part.get("pattern", ""), value):
        yield f"{at}: pattern"
    elif isinstance(value, int) and not part.get("minimum", value) <= value <= part.get("maximum", value):
        yield f"{at}: range"


def _object(part: Mapping[str, Any], value: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}.{name}: required" for name in part.get("required", []) if name not in value)
    for name, item in value.items():
        inner = part.get("properties", {}).get(name)
        inner = inner or next(
            (p for form, p in part.get("patternProperties", {}).items() if re.search(form, name)), None
        )
        if inner is not None:
            yield from faults(inner, item, f"{at}.{name}")
        elif part.get("additionalProperties", True) is False:
            yield f"{at}.{name}: additional"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_ships_fits_the_schema(path: pathlib.Path) -> None:
    trees, _ = yamltree.read(path.read_text(encoding="utf-8"), path.name)
    assert trees
    for tree in trees:
        assert list(faults(SCHEMA["$defs"][tree.data["kind"]], tree.data, tree.data["kind"])) == []
        assert list(faults(SCHEMA, tree.data, "")) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "Rome"),
        (("apiVersion",), "transom/v2"),
        (("extra",), 1),
        (("metadata", "name"), "Big Name"),
        (("spec", "sha256"), "zz"),
        (("spec", "file"), "a\nb"),
        (("spec", "file"), True),
    ],
)
def test_the_schema_refuses(path: tuple[str, ...], value: object) -> None:
    rom: dict[str, Any] = {
        "apiVersion": "transom/v1",
        "kind": "Rom",
        "metadata": {"name": "igd"},
        "spec": {"file": "igd.rom", "sha256": "a" * 64},
    }
    assert list(faults(SCHEMA, rom, "")) == []
    holder = rom
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert list(faults(SCHEMA, rom, "")) == [": oneOf"]


def test_no_part_lets_unknown_fields_or_formless_text_in() -> None:
    for name, part in walk(SCHEMA["$defs"]):
        if part.get("type") == "object":
            assert part.get("additionalProperties") is False, name
        if "string" in part.get("type", []):
            assert part.keys() & {"pattern", "enum", "const"}, name


def walk(part: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if isinstance(value, dict):
            yield f"{name}.{key}", value
        yield from walk(value, f"{name}.{key}")


def fields(part: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Every field below a part: ``hardware.disks.*.size``, ``windows[].cron``."""
    if "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]]
    for name, inner in part.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        yield path
        yield from fields(inner, path)
    for inner in part.get("patternProperties", {}).values():
        yield from fields(inner, f"{at}.*")
    if "items" in part:
        yield from fields(part["items"], f"{at}[]")


@pytest.mark.parametrize("kind", documents.KINDS)
def test_the_reference_names_every_field(kind: str) -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    section = re.search(rf"^## {kind}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"no section for {kind}"
    spec = SCHEMA["$defs"][kind]["properties"]["spec"]
    named = set(re.findall(r"^\| `([^`]+)`", section[1], re.MULTILINE))
    assert named == set(fields(spec))
