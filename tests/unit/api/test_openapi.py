"""The OpenAPI document: complete, sound, and true of what the server really answers."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jsonschema
import pytest

from transom import errors
from transom.api import auth, openapi, routes

DOCUMENT: dict[str, Any] = json.loads(openapi.dump(routes.ALL))


def test_it_is_served_to_anybody(api):
    answer = httpx.get(f"{api.url}/v1/openapi.json")
    assert answer.json() == DOCUMENT
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_route_is_there_once():
    told = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert told == {(one.method.lower(), one.path) for one in routes.ALL}
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere():
    for name in re.findall(r'"\$ref": ?"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)):
        assert name in DOCUMENT["components"]["schemas"]


def test_every_schema_is_one():
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("one", [one for one in routes.ALL if one.scope], ids=lambda one: one.id)
def test_scopes_and_refusals_are_told(one):
    operation = DOCUMENT["paths"][one.path][one.method.lower()]
    assert operation["security"] == [{"token": [one.scope.word]}]
    assert {"401", "403", "500"} <= operation["responses"].keys()
    assert one.scope.word in {scope.word for scope in auth.Scope}


def schema_of(method: str, path: str, status: int, media: str) -> dict[str, Any]:
    content = DOCUMENT["paths"][path][method]["responses"][str(status)]["content"]
    return content[media]["schema"] | {"components": DOCUMENT["components"]}


def push(api) -> str:
    """The hash of a file that is in the library now."""
    answer = api.operator.post("/v1/roms", content=b"bios", headers={"Content-Type": "application/octet-stream"})
    return str(answer.json()["rom"])


def test_answers_are_as_described(api):
    operation = api.provision(approve="plan").json()
    share = operation["shares"][0]
    names = {"hash": share["plan"], "id": share["run"], "name": "pve1"}
    calls = [(one.method, one.path) for one in routes.ALL if one.method == "GET" and not one.stream and not one.binary]
    calls += [("POST", "/v1/runs/{id}/undo/preview"), ("POST", "/v1/nodes/{name}/scan"), ("POST", "/v1/pause")]
    ids = {"operations": operation["id"], "roms": push(api)}
    for method, path in calls:
        wanted = names | {"id": next((id for part, id in ids.items() if part in path), names["id"])}
        answer = api.admin.request(method, path.format(**wanted))
        assert answer.is_success, (path, answer.text)
        schema = schema_of(method.lower(), path, answer.status_code, "application/json")
        jsonschema.validate(answer.json(), schema)
    jsonschema.validate(operation, schema_of("post", "/v1/documents", 202, "application/json"))


def test_a_preview_is_a_plan_a_node_or_why_there_is_none(api):
    api.provision()
    schema = schema_of("post", "/v1/preview", 200, "application/json")
    for _ in range(2):
        answer = api.operator.post("/v1/preview", json={})
        jsonschema.validate(answer.json(), schema)
        api.daemon.away["pve1"] = errors.Denied("host key")
    assert answer.json()["items"][0]["problem"]["type"].endswith(":denied")
    jsonschema.validate(
        {"items": [{"node": "pve1", "problem": answer.json()["items"][0]["problem"]}], "total": 1}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"items": [{"node": "pve1"}], "total": 1}, schema)


def test_a_preview_may_try_its_plan_aside_for_whoever_may_approve(api):
    """Files that nobody has approved are read by programs of root's then."""
    api.provision()
    (plan,) = api.approver.post("/v1/preview?simulate=true", json={}).json()["items"]
    assert plan["simulated"] == {"ok": False, "said": ["tried aside, and it fails: exit 3"], "cmdline": []}
    jsonschema.validate({"items": [plan], "total": 1}, schema_of("post", "/v1/preview", 200, "application/json"))
    assert "simulated" not in api.operator.post("/v1/preview", json={}).json()["items"][0]
    assert api.operator.post("/v1/preview?simulate=true", json={}).status_code == 403


def test_mistakes_are_as_described(api):
    answer = api.operator.post("/v1/documents", json={"documents": [{"kind": "Node"}]})
    assert answer.status_code == 422
    jsonschema.validate(answer.json(), schema_of("post", "/v1/documents", 422, "application/problem+json"))
    (row, *_) = api.operator.get("/v1/plans?nod=pve1").json()["problems"]
    assert row == {"file": "", "line": 0, "path": "nod", "reason": "is not known here; there is node, state, limit"}


def test_problems_are_as_described(api):
    answer = api.admin.get("/v1/plans/none")
    schema = schema_of("get", "/v1/plans/{hash}", 404, "application/problem+json")
    jsonschema.validate(answer.json(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"type": 1}, schema)
