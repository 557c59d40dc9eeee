"""The JSON Schema of the documents, as ``transom schema`` prints it: for editors, and for other programs that write documents.

It says what a single document may hold; what several mean together only the loader can tell.
"""

from __future__ import annotations

from typing import Any

from pydantic import json_schema as pydantic_schema

from transom.spec import documents

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """One schema for a document of any kind, JSON Schema 2020-12; the kinds stand under ``$defs`` by their names."""
    inputs: list[tuple[Any, Any]] = [(kind, "validation") for kind in documents.KINDS.values()]
    _, made = pydantic_schema.models_json_schema(inputs, ref_template="#/$defs/{model}")
    definitions = {name: _plain(part) for name, part in sorted(made["$defs"].items())}
    return {
        "$schema": DIALECT,
        "title": f"Transom documents ({documents.API_VERSION})",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in documents.KINDS],
        "$defs": definitions,
    }


def _plain(part: Any) -> Any:
    """Without null (an empty value is refused), names that only repeat the field's, and defaults of whole parts.

    Keys of a mapping have the given form and no other.
    """
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    said = {key: _plain(value) for key, value in part.items() if not _noise(key, value)}
    if "patternProperties" in said:
        said["additionalProperties"] = False
    options = [option for option in said.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del said["anyOf"]
        return {**options[0], **said}
    return said


def _noise(key: str, value: Any) -> bool:
    """``propertyNames`` only repeats in words what ``patternProperties`` says."""
    if key == "default":
        return not isinstance(value, str | int)
    return key == "propertyNames" or (key == "title" and isinstance(value, str))
