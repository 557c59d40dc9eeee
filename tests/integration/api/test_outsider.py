"""The daemon used as an outsider would: only curl and what the OpenAPI document says, from nothing to a provisioned VM."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
from typing import Any

import pytest

from patience import until


class Curl:
    """Calls operations by their id, as the document describes them."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._operations: dict[str, tuple[str, str, dict[str, Any]]] = {}
        document = self._run("GET", "/v1/openapi.json")[1]
        for path, item in document["paths"].items():
            for method, operation in item.items():
                self._operations[operation["operationId"]] = (method.upper(), path, operation)

    def call(
        self, operation_id: str, *, data: str = "", media: str = "application/json", **names: str
    ) -> tuple[int, Any]:
        """Status and answer; the status must be one that the document tells of."""
        method, path, operation = self._operations[operation_id]
        inside = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        query = "&".join(f"{name}={value}" for name, value in names.items() if name not in inside)
        words = ["-H", f"Content-Type: {media}", "--data-binary", "@-"] if data else []
        found = path.format(**names) + (f"?{query}" if query else "")
        status, answer = self._run(method, found, *words, data=data)
        assert str(status) in operation["responses"], (operation_id, status, answer)
        return status, answer

    def _run(self, method: str, path: str, *words: str, data: str = "") -> tuple[int, Any]:
        argv = [
            "curl",
            "-sS",
            "-X",
            method,
            "-H",
            f"Authorization: Bearer {self._token}",
            "-w",
            "\n%{http_code}",
            *words,
        ]
        done = subprocess.run([*argv, self._url + path], input=data, capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)


@pytest.fixture
def curl(daemon):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    return Curl(daemon.url, daemon.token("outsider", "approver"))


def test_from_nothing_to_a_vm(curl, seed, lab):
    assert curl.call("get-v1-nodes")[1]["items"] == []
    status, operation = curl.call(
        "post-v1-documents", data=seed.read_text(), media="application/yaml", name=str(seed), approve="plan"
    )
    assert status == 202
    done = follow(curl, operation["id"])
    assert done["state"] == "done", done
    share = done["shares"][0]
    assert curl.call("get-v1-runs-id", id=share["run"])[1]["state"] == "applied"
    assert curl.call("get-v1-plans-hash", hash=share["plan"])[1]["held"] is False
    vm = curl.call("get-v1-vms")[1]["items"][0]
    assert (vm["name"], vm["vmid"], vm["node"]) == ("win11-igd", 112, "pve1")
    conf = lab.node("pve1").root / "etc/pve/qemu-server/112.conf"
    assert "hostpci0: 0000:00:02.0,legacy-igd=1,romfile=igd-" in conf.read_text()
    assert curl.call("get-v1-nodes")[1]["items"][0]["state"] == "as-declared"
    assert [row["kind"] for row in curl.call("get-v1-drift")[1]["items"]] == ["finding"]


def test_without_approval_the_plan_waits_for_exactly_its_hash(curl, seed, lab):
    _, operation = curl.call("post-v1-documents", data=seed.read_text(), media="application/yaml", name=str(seed))
    waiting = follow(curl, operation["id"])
    assert waiting["state"] == "waiting"
    assert not (lab.node("pve1").root / "etc/default/grub.d/90-transom.cfg").exists()
    plan = waiting["shares"][0]["plan"]
    assert curl.call("get-v1-plans", state="proposed")[1]["items"][0]["hash"] == plan
    _, approval = curl.call("post-v1-plans-hash-approve", hash=plan)
    assert follow(curl, approval["id"])["state"] == "done"
    assert curl.call("get-v1-operations-id", id=operation["id"])[1]["state"] == "done"
    assert curl.call("post-v1-plans-hash-approve", hash=plan)[0] == 409


def test_what_is_wrong_is_told_as_described(curl, seed: pathlib.Path):
    wrong = seed.read_text().replace("8086:9bc8:1849:9bc8", "8086:9bcg")
    status, problem = curl.call("post-v1-documents", data=wrong, media="application/yaml", name=str(seed))
    assert status == 422
    (row,) = problem["problems"]
    assert (row["file"], row["path"]) == (str(seed), "spec.devices.igpu.id")
    assert "9bcg" in wrong.splitlines()[row["line"] - 1]
    status, problem = curl.call("post-v1-remove", data=json.dumps({"name": "win11-igd", "confirm": "win11-igd"}))
    assert (status, problem["type"]) == (403, "urn:transom:problem:insufficient-scope")


def follow(curl: Curl, operation: str) -> dict[str, Any]:
    def asked() -> dict[str, Any]:
        status, found = curl.call("get-v1-operations-id", id=operation)
        assert status == 200
        return dict(found)

    return until(lambda: (found := asked())["state"] != "running" and found, asked)
