"""Documents as they are handed in, YAML or JSON, to the texts that the loop takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic

from transom import errors
from transom.api import body, problem, route, wire
from transom.reconcile import backend

_PROBLEMS = 20


def parse(data: bytes, media: str, query: Mapping[str, str]) -> route.Handed:
    """Problem 400 for what is neither, 415 for other media types. What the documents say is not looked at."""
    approve = query.get("approve") == "plan"
    if media in body.YAML:
        name = query.get("name") or "documents.yaml"
        return route.Handed((backend.Text(name, body.text(data)),), approve)
    if media == body.JSON:
        return _json(body.parse_json(data), approve)
    raise body.unsupported(body.YAML[0], body.JSON)


def upload(query: Mapping[str, str]) -> wire.RomUpload:
    """What the query says of a file whose bytes come. Problem 400 with every mistake."""
    said: dict[str, Any] = dict(query)
    if "devices" in said:
        said["devices"] = [device for device in said["devices"].split(",") if device]
    for name in ("compress", "pci23"):
        if name in said:
            said[name] = said[name] == "true"
    return model(wire.RomUpload, said)


def _json(value: Any, approve: bool) -> route.Handed:
    """``wire.Provision``; a document or a list of documents by itself is right, too."""
    if isinstance(value, list):
        value = {"documents": value}
    elif isinstance(value, dict) and "kind" in value:
        value = {"documents": [value]}
    wanted = model(wire.Provision, value)
    texts = [backend.Text(file.name, file.text) for file in wanted.files]
    texts += [
        backend.Text(f"documents[{number}]", json.dumps(document, indent=1))
        for number, document in enumerate(wanted.documents)
    ]
    return route.Handed(tuple(texts), approve or wanted.approve == "plan")


def model(kind: type[wire.M], value: Any) -> wire.M:
    """``value`` as ``kind``; Problem 400 with every mistake."""
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        rows = [errors.Mistake("", 0, _dotted(item["loc"]), item["msg"]) for item in found[:_PROBLEMS]]
        raise problem.bad_request("the body is not as the OpenAPI document says", *rows) from None


def _dotted(place: tuple[str | int, ...]) -> str:
    return ".".join(map(str, place)) or "body"
