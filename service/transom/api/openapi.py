"""The OpenAPI 3.1 document, made from the routes and the types of their bodies. Pure."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pydantic
import pydantic_core
from pydantic import json_schema

from transom.api import auth, body, problem, route, wire
from transom.reconcile import backend

PATH = "/v1/openapi.json"
_TEMPLATE = "#/components/schemas/{model}"
_EVERYWHERE = {400: "the request is wrong", 500: "a mistake in Transom"}
_WITH_TOKEN = {401: "no token, or none that is known", 403: "the token's scope is too small, or a node refused us"}
_WITH_BODY = {408: "the body came too slowly", 413: "the body is too large", 415: "the media type is not known here"}
_NAMED = {404: "there is no such thing"}


def dump(routes: Iterable[route.Route]) -> bytes:
    """The document as JSON."""
    return pydantic_core.to_json(document(tuple(routes)), indent=1)


def document(routes: tuple[route.Route, ...]) -> dict[str, Any]:
    """As plain JSON types. Every type becomes a component, named once."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for one in routes:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Transom",
            "version": importlib.metadata.version("transom"),
            "description": "Gives GPUs to virtual machines on Proxmox VE nodes, and keeps it so.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": {"token": _SECURITY}},
    }


_SECURITY = {
    "type": "http",
    "scheme": "bearer",
    "description": "Made by `transom token add`. Scopes, each including those before: "
    + ", ".join(scope.word for scope in auth.Scope),
}


_JSON_OF: Mapping[Any, Any] = {route.Body.DOCUMENTS: wire.Provision, route.Body.UPLOAD: wire.RomPush}
"""What JSON is of, where a body may come in another form too."""


_BINARY = {"schema": {"type": "string", "format": "binary"}}


class _Schemas:
    """Reference by type and direction, and the components that they lead to."""

    def __init__(self, routes: Iterable[route.Route]) -> None:
        inputs: list[tuple[Any, json_schema.JsonSchemaMode, pydantic.TypeAdapter[Any]]] = []
        for kind, mode in dict.fromkeys(_types(routes)):
            inputs.append((kind, mode, pydantic.TypeAdapter(kind)))
        self._references, found = pydantic.TypeAdapter.json_schemas(inputs, ref_template=_TEMPLATE)
        self.components = found.get("$defs", {})

    def of(self, kind: Any, mode: json_schema.JsonSchemaMode = "serialization") -> Mapping[str, Any]:
        return self._references[kind, mode]


def _types(routes: Iterable[route.Route]) -> Iterator[tuple[Any, json_schema.JsonSchemaMode]]:
    yield wire.ProblemDetails, "serialization"
    for one in routes:
        yield one.answer, "serialization"
        if one.body is not route.Body.NONE:
            yield _JSON_OF.get(one.body, one.body), "validation"


def _operation(one: route.Route, schemas: _Schemas) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": one.id,
        "summary": one.summary,
        "parameters": list(_parameters(one)),
        "responses": _responses(one, schemas),
    }
    if one.scope is not None:
        said |= {"security": [{"token": [one.scope.word]}], "x-scope": one.scope.word}
    if one.body is not route.Body.NONE:
        said["requestBody"] = _request_body(one, schemas)
    return said


def _parameters(one: route.Route) -> Iterator[dict[str, Any]]:
    for part in one.path.split("/"):
        if part.startswith("{"):
            yield {"name": part.strip("{}"), "in": "path", "required": True, "schema": {"type": "string"}}
    for place, parameters in (("query", one.query), ("header", one.headers)):
        for item in parameters:
            yield {"name": item.name, "in": place, "description": item.summary, "schema": _simple(item)}


def _simple(item: route.Query) -> dict[str, Any]:
    if item.number is not None:
        return {"type": "integer", "minimum": item.number.start, "maximum": item.number.stop - 1}
    return {"type": "string", "enum": list(item.values)} if item.values else {"type": "string"}


def _request_body(one: route.Route, schemas: _Schemas) -> dict[str, Any]:
    if one.body is route.Body.UPLOAD:
        value = {"schema": schemas.of(wire.RomPush, "validation")}
        return {"required": True, "content": {body.BYTES: _BINARY, body.JSON: value}}
    if one.body is not route.Body.DOCUMENTS:
        return {"content": {body.JSON: {"schema": schemas.of(one.body, "validation")}}}
    yaml = {"schema": {"type": "string", "description": "YAML, several documents apart by ---"}}
    value = {"schema": schemas.of(wire.Provision, "validation")}
    return {"required": True, "content": {body.YAML[0]: yaml, body.JSON: value}}


def _responses(one: route.Route, schemas: _Schemas) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "as asked" if one.status == 200 else "accepted; it goes on by itself"}
    if one.binary:
        good["content"] = {body.BYTES: _BINARY}
    elif not one.stream:
        good["content"] = {body.JSON: {"schema": schemas.of(one.answer)}}
    for media in one.media:
        good.setdefault("content", {})[media] = {"schema": {"type": "string"}}
    if one.answer is backend.Operation and one.status == 202:
        good["headers"] = {"Location": {"description": "where to follow it", "schema": {"type": "string"}}}
    return {str(one.status): good} | dict(_problems(one, schemas))


def _problems(one: route.Route, schemas: _Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
    statuses = _EVERYWHERE | (_WITH_TOKEN if one.scope is not None else {})
    statuses |= _WITH_BODY if one.body is not route.Body.NONE else {}
    statuses |= _NAMED if "{" in one.path else {}
    schema = schemas.of(wire.ProblemDetails)
    for status, why in sorted((statuses | dict(one.also)).items()):
        yield str(status), {"description": why, "content": {problem.MEDIA: {"schema": schema}}}
