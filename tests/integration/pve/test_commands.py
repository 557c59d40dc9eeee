"""``transom mint`` and ``transom node check`` as a user runs them."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

DOCUMENTS = """
apiVersion: transom/v1
kind: Cluster
metadata: {{name: home}}
spec:
  api:
    endpoints: ["{url}"]
    token: {{id: "transom@pve!transom", secret: {{file: "{folder}/token"}}}}
    fingerprint: "{fingerprint}"
---
apiVersion: transom/v1
kind: Node
metadata: {{name: pve1}}
spec: {{cluster: home}}
---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {{name: a}}
spec: {{node: pve1, vmid: 112, hardware: {{memory: 64}}, raw: {{args: "-D /tmp/x"}}}}
"""


class Desk:
    """Documents for an API, and the command."""

    def __init__(self, site, folder: pathlib.Path) -> None:
        self.site, self.folder = site, folder
        self.fleet = folder / "fleet.yaml"
        (folder / "token").write_text(site.api.node.world.tokens[0].secret)
        self.fleet.write_text(DOCUMENTS.format(url=site.api.url, fingerprint=site.api.fingerprint, folder=folder))

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "transom", *words, "-f", str(self.fleet)]
        env = {**os.environ, "TRANSOM_STATE": str(self.folder / "state")}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def desk(serve, tmp_path: pathlib.Path) -> Desk:
    return Desk(serve(), tmp_path)


def test_mint_asks_the_version_and_names_what_no_right_helps_with(desk: Desk) -> None:
    done = desk("mint")
    assert done.returncode == 0, done.stderr
    assert "# cluster home, Proxmox VE 9.2.11: for transom@pve!transom" in done.stdout
    assert "pveum user token add transom@pve transom --privsep 1" in done.stdout
    assert "# no right helps with args of VirtualMachine/a" in done.stdout
    told = json.loads(desk("mint", "home", "--json", "--pve-version", "7.4").stdout)
    assert [(row["cluster"], row["version"], row["root_only"]) for row in told] == [
        ("home", "7.4", {"VirtualMachine/a": ["args"]})
    ]


def test_mint_before_there_is_a_token(desk: Desk) -> None:
    (desk.folder / "token").unlink()
    done = desk("mint")
    assert done.returncode == 0
    assert "its version cannot be asked" in done.stderr
    assert "Proxmox VE 9.0" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"), [(("--pve-version", "6.4"), 64), (("--pve-version", "x"), 64), (("nope",), 1)]
)
def test_mint_of_what_is_not_there(desk: Desk, words: tuple[str, ...], code: int) -> None:
    done = desk("mint", *words)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_check_tells_each_way_and_ends_with_1_when_one_is_missing(desk: Desk) -> None:
    done = desk("node", "check", "pve1")
    assert done.returncode == 1
    for line in (
        "pve1:", "✓ api     Proxmox VE 9.2.11, asked as transom@pve!transom", "✓ node    pve1 is online", "✓ right",
        "✗ root    there is no way to set what only root may set: VirtualMachine/a: args", "· ssh",
    ):  # fmt: skip
        assert line in done.stdout
    desk.fleet.write_text(desk.fleet.read_text().replace(', raw: {args: "-D /tmp/x"}', ""))
    done = desk("node", "check", "--json")
    assert done.returncode == 0, done.stdout
    (row,) = json.loads(done.stdout)
    assert row["well"] is True
    assert {"name": "root", "ok": None} in [{"name": one["name"], "ok": one["ok"]} for one in row["checks"]]
    assert desk("node", "check", "pve7").returncode == 1
