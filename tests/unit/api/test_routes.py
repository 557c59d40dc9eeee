"""The routes as a client meets them: documents to an operation, plans, runs, drift; and who may."""

from __future__ import annotations

import json

import httpx
import pytest

from transom import resources
from transom.api import auth, routes

MINIMAL = (resources.examples_dir() / "minimal.yaml").read_text()
YAML = {"Content-Type": "application/yaml"}


def test_from_documents_to_a_run(api):
    answer = api.approver.post("/v1/documents", content=MINIMAL, headers=YAML)
    assert answer.status_code == 202
    operation = answer.json()
    assert answer.headers["location"] == f"/v1/operations/{operation['id']}"
    assert operation["state"] == "waiting"
    assert operation["asked_by"] == "approver"
    plan = operation["shares"][0]["plan"]
    assert api.viewer.get(f"/v1/plans/{plan}").json()["drifts"][0]["path"] == "host/modules/vfio"
    done = api.approver.post(f"/v1/plans/{plan}/approve")
    assert done.status_code == 202
    run = done.json()["shares"][0]["run"]
    assert api.viewer.get(f"/v1/runs/{run}").json()["events"][0]["text"] == "by approver"
    assert [row["id"] for row in api.viewer.get("/v1/runs").json()["items"]] == [run]
    again = api.approver.post(f"/v1/plans/{plan}/approve")
    assert (again.status_code, again.json()["type"]) == (409, "urn:transom:problem:rejected")


def test_approve_plan_carries_out_what_comes_of_it(api):
    answer = api.provision(approve="plan")
    assert answer.json()["state"] == "done"
    refused = api.operator.post("/v1/documents?approve=plan", content=MINIMAL, headers=YAML)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:transom:problem:insufficient-scope")


@pytest.mark.parametrize("path", ["/v1/documents", "/v1/preview"])
def test_an_operator_decides_neither_where_secrets_go_nor_what_is_changed_unasked(api, path):
    refused = api.operator.post(path, content=MINIMAL, headers=YAML)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:transom:problem:insufficient-scope")
    assert "Cluster/home says where secrets lie and to whom they are shown" in refused.json()["detail"]
    api.provision()
    policy = {"apiVersion": "transom/v1", "kind": "Policy", "metadata": {"name": "all"}, "spec": {"mode": "enforce"}}
    assert api.operator.post(path, json=policy).status_code == 403
    assert api.operator.post(path, content=MINIMAL, headers=YAML).status_code < 300  # the same as is stored
    assert api.operator.post(path, json={}).status_code < 300
    assert api.approver.post(path, json=policy).status_code < 300


def test_documents_come_back_and_are_released(api):
    api.provision()
    titles = [f"{item['kind']}/{item['metadata']['name']}" for item in _items(api, "/v1/documents")]
    assert titles == ["Cluster/home", "Node/pve1", "VirtualMachine/desktop"]
    assert api.approver.post("/v1/release", json={"name": "VirtualMachine/desktop"}).status_code == 202
    wrong = api.admin.post("/v1/remove", json={"name": "Node/pve1", "confirm": "pve2"})
    assert wrong.status_code == 409
    assert api.admin.post("/v1/remove", json={"name": "Node/pve1", "confirm": "Node/pve1"}).status_code == 202
    assert len(_items(api, "/v1/documents")) == 1


@pytest.mark.parametrize("shape", ["one", "list", "object", "files"])
def test_json_in_every_shape(api, shape):
    cluster = json.loads(json.dumps(_cluster()))
    bodies = {
        "one": cluster,
        "list": [cluster],
        "object": {"documents": [cluster]},
        "files": {"files": [{"name": "a.yaml", "text": MINIMAL}], "approve": "plan"},
    }
    answer = api.approver.post("/v1/documents", json=bodies[shape])
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "done"
    assert _items(api, "/v1/documents")[0]["metadata"]["name"] == "home"


def _cluster():
    spec = {
        "api": {
            "endpoints": ["https://192.0.2.11:8006"],
            "token": {"id": "transom@pve!transom", "secret": {"env": "TRANSOM_HOME_TOKEN"}},
            "fingerprint": ":".join(["AB"] * 32),
        },
        "ssh": {"key": {"file": "/root/.ssh/id_ed25519"}},
    }
    return {"apiVersion": "transom/v1", "kind": "Cluster", "metadata": {"name": "home"}, "spec": spec}


def test_all_mistakes_of_documents_at_once(api):
    wrong = MINIMAL.replace("8086:9bc8", "8086:9bcg").replace("memory: 4096", "memory: much")
    answer = api.operator.post("/v1/documents?name=fleet.yaml", content=wrong, headers=YAML)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()["problems"]
    places = [(row["file"], MINIMAL.splitlines()[row["line"] - 1].strip(), row["path"]) for row in found]
    assert places == [
        ("fleet.yaml", "id: 8086:9bc8", "spec.devices.igpu.id"),
        ("fleet.yaml", "memory: 4096", "spec.hardware.memory"),
    ]
    assert "vendor:device" in found[0]["reason"]
    assert _items(api, "/v1/documents") == []


def test_an_idempotency_key_is_one_operation(api):
    def post(text: str, key: str) -> httpx.Response:
        return api.approver.post("/v1/documents", content=text, headers=YAML | {"Idempotency-Key": key})

    first, second = post(MINIMAL, "k1"), post(MINIMAL, "k1")
    assert first.json() == second.json()
    assert post(MINIMAL, "k2").json()["id"] != first.json()["id"]
    assert post(MINIMAL + "\n# other\n", "k1").status_code == 409
    assert post(MINIMAL, "x" * 256).status_code == 400


def test_undo_needs_the_plan_that_was_seen(api):
    run = api.provision(approve="plan").json()["shares"][0]["run"]
    plan = api.operator.post(f"/v1/runs/{run}/undo/preview").json()
    wrong = api.approver.post(f"/v1/runs/{run}/undo", json={"approved": "0000"})
    assert (wrong.status_code, wrong.json()["retry"]) == (409, "replan")
    assert api.approver.post(f"/v1/runs/{run}/undo", json={"approved": plan["hash"]}).status_code == 202


def test_drift_as_json_and_as_markdown(api):
    api.provision()
    assert _items(api, "/v1/drift?node=pve1")[0]["key"] == "host/modules/vfio"
    assert _items(api, "/v1/drift?node=other") == []
    report = api.viewer.get("/v1/drift", headers={"Accept": "text/markdown, */*;q=0.1"})
    assert report.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "## pve1" in report.text
    assert "since 1970-01-01 00:00:01Z" in report.text


def test_pause_and_resume(api):
    assert api.operator.post("/v1/pause", json={"reason": "power"}).json()["paused"]["reason"] == "power"
    assert api.operator.post("/v1/resume").status_code == 403
    assert api.approver.post("/v1/resume").json()["paused"] is None
    assert api.operator.post("/v1/pause").status_code == 200


def test_nodes_facts_scan_and_vms(api):
    api.provision()
    assert [row["name"] for row in _items(api, "/v1/nodes")] == ["pve1"]
    facts = api.viewer.get("/v1/nodes/pve1/facts").json()
    assert facts["boot"]["boot_id"] == {"unknown": "not read"}
    assert facts["modules"] == ["i915", "vfio_pci"]
    assert api.operator.post("/v1/nodes/pve1/scan").status_code == 202
    assert api.daemon.log[-1] == ("scan pve1", "operator")
    assert api.operator.post("/v1/nodes/pve1/resume").status_code == 403
    assert api.approver.post("/v1/nodes/pve1/resume").json()["name"] == "pve1"
    assert api.approver.post("/v1/nodes/none/resume").status_code == 404
    assert api.daemon.log[-1] == ("resume", "pve1", "approver")
    assert _items(api, "/v1/vms")[0]["name"] == "desktop"


def test_lists_are_cut_and_say_so(api):
    for _ in range(3):
        api.provision()
    found = api.viewer.get("/v1/plans?limit=2&state=waiting").json()
    assert (len(found["items"]), found["total"]) == (2, 3)


@pytest.mark.parametrize(
    "path", ["/v1/plans/none", "/v1/runs/none", "/v1/operations/none", "/v1/nodes/none/facts", "/v2", "/"]
)
def test_what_is_not_there_is_404(api, path):
    answer = api.admin.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


@pytest.mark.parametrize("path", ["/v1/plans/none/approve", "/v1/runs/none/undo/preview", "/v1/nodes/none/scan"])
def test_what_is_not_there_cannot_be_acted_on(api, path):
    assert api.admin.post(path).status_code == 404


def test_a_method_that_a_path_does_not_know(api):
    answer = api.admin.delete("/v1/documents")
    assert answer.status_code == 405
    assert {word.strip() for word in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


def test_health_and_readiness(api):
    with httpx.Client(base_url=api.url) as anybody:
        assert anybody.get("/healthz").json() == {"status": "ok"}
        assert anybody.get("/readyz").json()["ready"] is True
        api.daemon.parts = {"store": "ok", "scheduler": "stopped"}
        answer = anybody.get("/readyz")
        assert (answer.status_code, answer.json()["parts"]["scheduler"]) == (503, "stopped")


def test_who_asks(api):
    assert api.operator.get("/v1/whoami").json() == {"name": "operator", "scope": "operator"}


@pytest.mark.parametrize("asked", [one for one in routes.ALL if not one.stream], ids=lambda one: one.id)
@pytest.mark.parametrize("scope", [None, *auth.Scope], ids=lambda scope: scope.word if scope else "nobody")
def test_every_route_asks_for_its_scope(api, asked, scope):
    path = asked.path.replace("{", "").replace("}", "")
    answer = httpx.request(asked.method, api.url + path, headers=api.headers(scope))
    if asked.scope is None or (scope is not None and scope >= asked.scope):
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code == (403 if scope else 401)
        assert "Bearer" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Basic dXNlcjpwYXNz",
        "Bearer transom_viewer x",
        "Bearer transom_viewe",
        "bearer " + "a" * 300,
    ],
)
def test_what_is_no_token_is_401(api, header):
    answer = httpx.get(f"{api.url}/v1/nodes", headers={"Authorization": header})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def _items(api, path):
    answer = api.viewer.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return answer.json()["items"]
