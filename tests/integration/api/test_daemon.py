"""The command and its daemon: the whole life of a VM, drift in between, restarts and kills; and who may read the token."""

from __future__ import annotations

import json
import signal
import stat
import threading
import urllib.request

from patience import PATIENCE, until
from transom.lab import breaks


def test_the_whole_life_through_the_daemon(daemon, seed, lab):
    assert daemon.transom("plan", "-f", seed, "--detailed-exitcode").returncode == 2
    (tried,) = daemon.json("plan", "-f", seed, "--simulate")
    assert tried["simulated"]["ok"] is True, "as without a daemon"
    (applied,) = daemon.json("apply", "-f", seed, "--yes")
    assert (applied["state"], applied["node"], applied["plan"]["held"]) == ("done", "pve1", False)
    assert daemon.transom("plan", "--detailed-exitcode").returncode == 0
    (again,) = daemon.json("apply", "--yes")
    assert (again["run"], again["plan"]) == (None, None)
    shown = daemon.transom("run", "show", applied["run"])
    assert "VM 112 reads back as planned" in shown.stdout, shown.stderr
    assert daemon.transom("run", "logs", applied["run"], "--follow").stdout.count("\n") >= 16
    assert [row["id"] for row in daemon.json("run", "ls")] == [applied["run"]]
    assert daemon.json("vm", "show", "win11-igd")["vmid"] == 112

    breaks.find("vm-edited-in-ui").apply(lab, lab.node("pve1"))
    scan(daemon)
    (row,) = [row for row in daemon.json("drift") if row["kind"] == "drift"]
    assert row["key"] == "qemu/112/hostpci0"
    assert "qemu/112/hostpci0" in daemon.transom("drift", "--markdown").stdout.replace("\\", "")
    assert daemon.transom("drift", "--detailed-exitcode").returncode == 2
    assert daemon.transom("vm", "show", "win11-igd").stdout.count("hostpci0") >= 1

    assert daemon.json("pause", "--reason", "power cut")["paused"]["reason"] == "power cut"
    assert daemon.transom("apply", "--yes").returncode == 3
    assert "power cut" in daemon.transom("status").stdout
    assert daemon.json("resume")["paused"] is None
    assert daemon.transom("apply", "--yes").returncode == 0
    assert [row for row in daemon.json("drift") if row["kind"] == "drift"] == []

    assert daemon.json("undo", applied["run"], "--dry-run")["run"] is None
    assert daemon.json("undo", applied["run"], "--yes")["state"] == "done"
    assert not (lab.node("pve1").root / "etc/default/grub.d/90-transom.cfg").exists()


def test_letting_go(daemon, seed, lab):
    daemon.json("apply", "-f", seed, "--yes")
    assert daemon.transom("rm", "win11-igd").returncode == 64
    assert daemon.transom("rm", "win11-igd", "--confirm", "win11", "--yes").returncode == 1
    assert daemon.json("rm", "win11-igd", "--confirm", "win11-igd", "--yes")[0]["state"] == "done"
    assert not (lab.node("pve1").root / "etc/pve/qemu-server/112.conf").exists()
    assert daemon.json("vm", "ls") == []


def test_rejecting(daemon, seed):
    assert "Nothing was changed" not in daemon.transom("apply", "-f", seed).stdout
    (plan,) = daemon.json("status")["waiting"]
    assert daemon.json("reject", plan["hash"], "--reason", "not now")["state"] == "rejected"
    assert daemon.transom("approve", "none").returncode == 1
    done = daemon.transom("apply", "-f", seed, "--yes")
    assert (done.returncode, "rejected by" in done.stdout + done.stderr) == (3, True)
    assert daemon.transom("approve", plan["hash"]).returncode == 0, "the plan by its hash takes the rejection back"
    assert daemon.json("node", "ls")[0]["state"] == "as-declared"


def test_a_term_waits_for_the_step_under_way_and_the_next_start_goes_on(daemon, seed):
    asking = threading.Thread(target=daemon.transom, args=("apply", "-f", seed, "--yes"))
    asking.start()
    until(lambda: "[1/" in daemon.log())
    assert daemon.stop() == 0
    asking.join(60)
    assert not (daemon.state / "serve.json").exists()
    assert not (daemon.state / "serve.token").exists()
    daemon.start()
    until(lambda: daemon.json("node", "ls")[0]["state"] == "as-declared")


def test_a_killed_daemon_is_none_and_the_next_one_converges(daemon, seed):
    asking = threading.Thread(target=daemon.transom, args=("apply", "-f", seed, "--yes"))
    asking.start()
    until(lambda: "[3/" in daemon.log())
    daemon.stop(signal.SIGKILL)
    asking.join(60)
    assert (daemon.state / "serve.json").exists()
    refused = daemon.transom("status")
    assert (refused.returncode, "transom serve" in refused.stderr) == (69, True)
    assert daemon.transom("run", "ls").returncode == 0, "what can work alone does"
    daemon.start()
    until(lambda: daemon.json("node", "ls")[0]["state"] == "as-declared")
    assert daemon.transom("plan", "--detailed-exitcode").returncode == 0


def test_one_daemon_a_state_folder(daemon):
    second = daemon.transom("serve", "--listen", "127.0.0.1:0")
    assert second.returncode == 75
    assert daemon.transom("status").returncode == 0


def test_files_are_for_their_user_only(daemon):
    for name in ("serve.json", "serve.token", "transom.db"):
        assert stat.S_IMODE((daemon.state / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.state.stat().st_mode) == 0o700


def test_tokens_come_and_go_while_it_runs(daemon):
    token = daemon.token("grafana", "viewer")
    assert ask(daemon, token)[0] == 200
    assert token not in (daemon.state / "transom.db").read_bytes().decode("latin-1")
    assert [row["name"] for row in daemon.json("token", "ls")] == ["grafana"]
    assert daemon.transom("token", "add", "grafana", "--scope", "admin").returncode == 1
    assert daemon.transom("token", "rm", "grafana").returncode == 0
    assert ask(daemon, token)[0] == 401
    assert daemon.transom("token", "rm", "grafana").returncode == 1


def test_asked_by_url_and_token(daemon, tmp_path):
    file = tmp_path / "token"
    file.write_text(daemon.token("remote", "viewer"))
    daemon.env |= {
        "TRANSOM_SERVER": daemon.url,
        "TRANSOM_TOKEN_FILE": str(file),
        "TRANSOM_STATE": str(tmp_path / "other"),
    }
    assert daemon.json("status")["server"] == daemon.url
    assert daemon.transom("pause").returncode == 77
    file.write_text("wrong")
    assert daemon.transom("status").returncode == 77
    daemon.env["TRANSOM_SERVER"] = "http://127.0.0.1:1"
    assert daemon.transom("status").returncode == 69


def test_what_cannot_be_listened_on_is_refused(daemon):
    done = daemon.transom("serve", "--listen", "0.0.0.0:0", "--state", daemon.state.parent / "second")
    assert (done.returncode, "--insecure" in done.stderr) == (1, True)
    for wrong in ("7300", "localhost:", "x:99999", ":1"):
        assert daemon.transom("serve", "--listen", wrong).returncode == 64


def scan(daemon) -> None:
    """Look at the node now, and wait until it is done."""
    before = daemon.json("node", "ls")[0]["observed_at"]
    token = (daemon.state / "serve.token").read_text()
    assert ask(daemon, token, "/v1/nodes/pve1/scan", b"")[0] == 202
    until(lambda: daemon.json("node", "ls")[0]["observed_at"] > before)


def ask(daemon, token: str, path: str = "/v1/whoami", data: bytes | None = None) -> tuple[int, object]:
    request = urllib.request.Request(daemon.url + path, data, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
