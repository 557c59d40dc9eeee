"""The commands through a daemon that is told what to answer: what its user reads, and with which exit code."""

from __future__ import annotations

import dataclasses
import json
import socket

import click.testing
import pytest

from transom import daemon, errors, model, resources
from transom.api import auth
from transom.cli import main
from transom.plan import guest_actions, result
from transom.reconcile import backend

NODES = """
---
apiVersion: transom/v1
kind: Node
metadata: {name: pve2}
spec:
  cluster: home
  ssh:
    address: 192.0.2.12
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5
"""


@pytest.fixture
def fleet(tmp_path):
    """Documents of two nodes."""
    file = tmp_path / "fleet.yaml"
    file.write_text((resources.examples_dir() / "minimal.yaml").read_text() + NODES)
    return file


@pytest.fixture
def command(api, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSOM_SERVER", api.url)
    monkeypatch.setenv("TRANSOM_TOKEN", api.headers(auth.Scope.ADMIN)["Authorization"].removeprefix("Bearer "))
    monkeypatch.setenv("TRANSOM_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main.transom, list(words))

    return run


def test_a_node_that_is_away_hides_no_other(api, command, fleet):
    api.daemon.away["pve1"] = errors.Unreachable("no route to pve1", hint="is it on?")
    done = command("plan", "-f", str(fleet), "--json")
    assert done.exit_code == 69
    away, there = json.loads(done.stdout)
    failed = {"node": "pve1", "error": "Unreachable", "message": "no route to pve1 (is it on?)", "retry": "later"}
    assert away == failed
    assert (there["node"], [drift["path"] for drift in there["drifts"]]) == ("pve2", ["host/modules/vfio"])
    told = command("plan", "-f", str(fleet))
    assert (told.exit_code, told.stdout.startswith("Node pve1: no route")) == (69, True)
    assert "Node pve2: 1 difference" in told.stdout
    assert command("plan", "-f", str(fleet), "--as-shell").stdout.startswith("# Node pve1: no route")
    dry = command("apply", "-f", str(fleet), "--dry-run", "--json")
    assert (dry.exit_code, json.loads(dry.stdout)[0]) == (69, failed)
    assert json.loads(dry.stdout)[1]["plan"]["node"] == "pve2"
    assert command("plan", "-f", str(fleet), "--node", "pve2", "--detailed-exitcode").exit_code == 2
    assert api.daemon.stored == {}


@pytest.mark.parametrize("words", [("plan",), ("apply",), ("apply", "--dry-run"), ("plan", "--json")])
def test_mistakes_read_as_validate_tells_them(command, fleet, words):
    fleet.write_text(fleet.read_text().replace("8086:9bc8", "8086:9bcg").replace("memory: 4096", "memory: much"))
    wanted = command("validate", "-f", "fleet.yaml", *(word for word in words if word == "--json"))
    done = command(*words, "-f", "fleet.yaml")
    assert (done.exit_code, wanted.exit_code) == (65, 65)
    told = done.stderr.partition(")\n")[2] if "(through" in done.stderr else done.stderr
    assert told == wanted.stderr
    assert done.stdout == wanted.stdout


def test_all_but_what_one_vm_waits_with_ends_with_what_is_held(api, command, fleet):
    api.daemon.gates = (result.Gate("vm-locked", False, "vm-locked: VM is locked", ("VirtualMachine/win",)),)
    done = command("apply", "-f", str(fleet), "--yes", "--json")
    assert done.exit_code == 3
    for outcome in json.loads(done.stdout):
        assert outcome["state"] == "done"
        assert outcome["plan"]["held_documents"] == {"VirtualMachine/win": ["vm-locked: VM is locked"]}
    api.daemon.gates = ()
    assert command("apply", "-f", str(fleet), "--yes").exit_code == 0


def test_files_that_cannot_be_read_are_told_before_anything_is_sent(command, tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    (tmp_path / "empty").mkdir()
    done = command("apply", "-f", "a.yaml", "-f", "empty", "--json")
    assert done.exit_code == 65
    assert [(row["file"], row["reason"]) for row in json.loads(done.stdout)["problems"]] == [
        ("a.yaml", "is not UTF-8 text (byte 0)"),
        ("empty", "this folder holds no *.yaml file"),
    ]


def test_a_dry_run_shows_what_would_go_and_asks_for_nothing(api, command):
    api.provision()
    asked = len(api.daemon.log)
    for words in (("rm", "VirtualMachine/desktop"), ("release", "Node/pve1")):
        done = command(*words, "--dry-run")
        assert (done.exit_code, "host/modules/vfio" in done.stdout) == (0, True), done.stderr
        (said,) = json.loads(command(*words, "--dry-run", "--json").stdout)
        assert (said["plan"]["node"], said["run"]) == ("pve1", None)
    assert "only the document" in command("release", "Cluster/home", "--dry-run").stderr
    api.daemon.away["pve1"] = errors.Denied("host key")
    assert command("rm", "VirtualMachine/desktop", "--dry-run").exit_code == 77
    assert command("rm", "VirtualMachine/none", "--dry-run").exit_code == 1
    assert {said for said, _ in api.daemon.log[asked:]} == {"preview remove", "preview release"}


def test_nothing_to_apply_and_nobodys_node_are_told(api, command):
    for words in (("apply", "--yes"), ("plan",)):
        done = command(*words)
        assert (done.exit_code, "no documents are stored yet" in done.stderr) == (1, True)
    api.provision()
    done = command("apply", "--node", "pve7", "--yes")
    assert (done.exit_code, "there are: pve1" in done.stderr) == (1, True)


def going(*, impact: model.Impact) -> result.Plan:
    drift = model.Drift("qemu/101", None, "there", model.Level.PERSISTED, impact, "", "let go")
    return result.Plan("pve1", "d", drifts=(drift,), actions=(guest_actions.DestroyGuest(101, "desktop", "digest"),))


def test_nothing_is_opened_before_the_question_is_answered(api, command):
    api.provision()
    api.daemon.goes = going(impact=model.Impact.HOST_REBOOT)
    before = len(api.daemon.log)
    for words in (
        ("rm", "VirtualMachine/desktop"),
        ("rm", "VirtualMachine/desktop", "--confirm", "VirtualMachine/desktop"),
        ("release", "Node/pve1"),
    ):
        done = command(*words)
        assert "nobody to ask" in done.stderr
        assert done.exit_code != 0
    assert {said for said, _ in api.daemon.log[before:]} == {"preview remove", "preview release"}
    api.daemon.goes = dataclasses.replace(api.daemon.goes, gates=(result.Gate("vm-running", False, "it is running"),))
    done = command("rm", "VirtualMachine/desktop", "--confirm", "VirtualMachine/desktop", "--yes")
    assert (done.exit_code, "Nothing was changed" in done.stderr) == (3, True)
    assert "VirtualMachine/desktop" in api.daemon.stored


def test_the_name_approves_the_plan_that_was_shown_and_no_other(api, command):
    api.provision()
    api.daemon.goes = going(impact=model.Impact.LIVE)
    done = command("rm", "VirtualMachine/desktop", "--confirm", "VirtualMachine/desktop")
    assert (done.exit_code, "DELETES VM 101 (desktop)" in done.stderr) == (0, True), done.stderr
    assert (f"remove by {api.daemon.goes.hash}", "admin") in api.daemon.log


def test_what_is_open_stands_in_status_and_can_be_withdrawn(api, command):
    share = backend.Share("pve1", "waiting", "", "", "the plan waits for approval")
    api.daemon.ops["op-7"] = backend.Operation("op-7", "waiting", (share,), "eve", 1.0, kind="remove", target="V/a")
    line = (
        "operation op-7 is open: remove of V/a, waiting: the plan waits for approval; `transom cancel op-7` withdraws"
    )
    assert line in command("status").stdout
    assert json.loads(command("status", "--json").stdout)["operations"][0]["id"] == "op-7"
    assert api.operator.post("/v1/operations/op-7/cancel").status_code == 403
    assert api.viewer.post("/v1/operations/op-7/cancel").status_code == 403
    assert "is withdrawn: remove of V/a" in command("cancel", "op-7").stdout
    assert command("cancel", "op-8").exit_code == 1
    assert "op-7" not in command("status").stdout
    api.daemon.ops["op-9"] = backend.Operation("op-9", "waiting", (share,), "operator", 1.0)
    assert api.operator.post("/v1/operations/op-9/cancel").status_code == 200


def test_a_release_of_a_node_that_is_down_says_that_it_is_open(api, command, monkeypatch):
    api.provision()
    api.daemon.away["pve1"] = errors.Unreachable("no route")
    share = backend.Share("pve1", "queued", "", "", "no route")
    asked = backend.Operation("op-7", "running", (share,), "admin", 1.0)
    api.daemon.ops["op-7"] = asked
    monkeypatch.setattr(api.daemon, "release", lambda _, **__: asked)
    done = command("release", "Node/pve1", "--yes")
    assert done.exit_code == 69
    assert "operation op-7 is open" in done.stderr
    assert "`transom cancel op-7` withdraws it" in done.stderr


def test_what_is_not_there_and_what_contradicts_itself_have_their_exit_codes(api, command):
    api.provision()
    done = command("vm", "show", "nope")
    assert (done.exit_code, "transom vm ls" in done.stderr) == (1, True)
    done = command("drift", "--markdown", "--json")
    assert "give one of them" in done.stderr
    assert "transom node ls" in command("node", "show", "nope").stderr


def test_what_stands_still_says_what_makes_it_go_on(api, command, monkeypatch):
    api.provision()
    monkeypatch.setattr(api.daemon, "nodes", list)
    command("pause", "--reason", "look")
    assert "look; `transom resume` goes on" in command("status").stdout
    (row,) = api.daemon.drift()
    rejected = dataclasses.replace(row, state="held", reason="rejected by eve: not now")
    monkeypatch.setattr(api.daemon, "drift", lambda _="": [rejected])
    assert "  held: rejected by eve: not now\n" in command("drift").stdout
    assert "\nheld: rejected by eve: not now\n" in command("drift", "--markdown").stdout
    (said,) = json.loads(command("drift", "--json").stdout)
    assert (said["state"], said["reason"]) == ("held", "rejected by eve: not now")


def policy(mode: str, *, impact: str = "live") -> str:
    return f"""
apiVersion: transom/v1
kind: Policy
metadata: {{name: keep}}
spec: {{mode: {mode}, limits: {{impact: {impact}}}}}
"""


def test_a_policy_that_lets_more_happen_is_shown_and_asked_for(api, command, tmp_path):
    api.provision()
    file = tmp_path / "policy.yaml"
    apply = ("apply", "-f", str(file))
    file.write_text(policy("propose"))
    refused = command(*apply)
    assert (refused.exit_code, "nobody to ask" in refused.stderr) == (2, True)
    assert "to store: Policy/keep (mode observe → propose, 1 node: pve1)" in refused.stderr
    assert "Policy/keep" not in api.daemon.stored
    for mode, impact in (("propose", "live"), ("enforce", "live"), ("enforce", "host-reboot")):
        file.write_text(policy(mode, impact=impact))
        assert "nobody to ask" in command(*apply).stderr
        assert "nobody to ask" not in command(*apply, "--yes").stderr
        assert api.daemon.stored["Policy/keep"].document.spec.mode == mode
    api.daemon.made.clear()
    file.write_text(policy("observe"))
    command(*apply)
    assert api.daemon.stored["Policy/keep"].document.spec.mode == "observe", "less is not asked for"


def test_without_a_daemon_a_policy_is_asked_for_too(command, tmp_path, monkeypatch, fleet):
    monkeypatch.delenv("TRANSOM_SERVER")
    with daemon.open_service(tmp_path / "state", say=print) as service:
        service.put([fleet])
    fleet.write_text(f"{fleet.read_text()}---{policy('enforce')}")
    done = command("apply", "-f", str(fleet))
    assert (done.exit_code, "mode observe → enforce up to live, 2 nodes: pve1, pve2" in done.stderr) == (2, True)
    assert "nobody to ask" in done.stderr
    with daemon.open_service(tmp_path / "state", say=print) as service:
        assert {node.policy.mode for node in service.wishes()} == {"observe"}


def test_a_plan_goes_by_the_beginning_of_its_hash_when_that_is_unique(api, command):
    api.provision()
    (hash,) = api.daemon.made
    assert "there is no plan" in command("approve", hash[:5]).stderr
    assert command("reject", hash[:6]).exit_code == 0
    assert api.daemon.made[hash][1] == "rejected"
    api.daemon.made[hash] = (api.daemon.made[hash][0], "waiting")
    done = command("approve", hash[:6], "--json")
    assert (done.exit_code, json.loads(done.stdout)[0]["plan"]["hash"]) == (0, hash)


def test_a_server_that_is_not_there_is_not_a_missing_token(command, monkeypatch):
    monkeypatch.delenv("TRANSOM_TOKEN")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for server in ("notaurl", "http://[", f"http://127.0.0.1:{port}"):
        done = command("status", "--server", server)
        assert (done.exit_code, server in done.stderr) == (69, True), done.stderr


def test_runs_of_nobodys_node_and_a_token_that_goes(api, command, monkeypatch):
    api.provision()
    assert command("run", "ls", "--node", "pve1").exit_code == 0
    assert command("run", "ls", "--node", "nope").exit_code == 1
    command("token", "add", "eve", "--scope", "viewer")
    assert json.loads(command("token", "rm", "eve", "--json").stdout) == {"name": "eve", "removed": True}
    monkeypatch.delenv("TRANSOM_SERVER")
    assert "no document declares node 'nope'" in command("run", "ls", "--node", "nope").stderr
