"""The guest agent: what a guest answers lies in files, and a guest without any has no agent.

`var/lib/transom-lab/agent/VMID/COMMAND.json` (below the node's root) is the result of a command; `exec.json` is a list
of `{"match": regular expression, "exitcode": 0, "out-data": "…", "err-data": "…"}`, the first that fits the joined
command answers. Files of the guest live below `agent/VMID/files`.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from transom.lab.pve import devices, files, formats, node, replies, runstate


def folder(here: node.Node, vmid: int) -> Path:
    return here.place.path(f"var/lib/transom-lab/agent/{vmid}")


def obeys(here: node.Node, vmid: int) -> bool:
    """Does the guest shut down when asked? `obey.json` (true or false) overrides the world."""
    told = files.read_text(folder(here, vmid) / "obey.json").strip()
    return told == "true" if told else here.world.obedient


def need(here: node.Node, vmid: int) -> Path:
    """The answers of this VM's agent; refuses in PVE's words when it cannot be asked."""
    current = here.load(vmid)
    value = current.text("agent").strip()
    if not value or formats.parse_property_string(devices.AGENT, value).get("enabled") != "1":
        replies.die("No QEMU guest agent configured")
    running = runstate.read(here.place, vmid)
    if running is None:
        replies.die(f"VM {vmid} is not running")
    answers = folder(here, vmid)
    if running.paused or not answers.is_dir() or not (answers / "ping.json").exists():
        time.sleep(here.world.delay)
        replies.die("QEMU guest agent is not running")
    return answers


def why_not_frozen(here: node.Node, vmid: int) -> str:
    """Why a snapshot of a running VM is taken without freezing its file systems, '' when they are frozen."""
    value = here.load(vmid).text("agent").strip()
    options = formats.parse_property_string(devices.AGENT, value) if value else {}
    if options.get("enabled") != "1" or options.get("freeze-fs") == "0":
        return "disabled in VM options"
    try:
        need(here, vmid)
    except replies.Refused:
        return "agent configured but not running?"
    return ""


def ask(here: node.Node, vmid: int, command: str) -> object:
    """The result of a command without parameters."""
    text = files.read_text(need(here, vmid) / f"{command}.json")
    if not text:
        replies.die(f"VM {vmid} qmp command 'guest-{command}' failed - The command guest-{command} has not been found")
    return json.loads(text)


def execute(here: node.Node, vmid: int, argv: list[str]) -> int:
    """Starts a command in the guest; returns its process id."""
    answers = need(here, vmid)
    rules = json.loads(files.read_text(answers / "exec.json") or "[]")
    rule = next((one for one in rules if re.search(str(one.get("match", "")), " ".join(argv))), None)
    if rule is None:
        replies.die(f"VM {vmid} qmp command 'guest-exec' failed - Guest agent command failed, error was 'Failed to "
                    f"execute child process “{argv[0]}” (No such file or directory)'")  # fmt: skip
    pid = files.count(answers / "pid", 1000)
    status = {"exited": 1, **{name: rule[name] for name in ("exitcode", "out-data", "err-data") if name in rule}}
    files.write_json(answers / f"exec-{pid}.json", {"exitcode": 0, **status})
    return pid


def status(here: node.Node, vmid: int, pid: int) -> object:
    text = files.read_text(need(here, vmid) / f"exec-{pid}.json")
    if not text:
        replies.die("Agent error: PID " + f"{pid} does not exist")
    return json.loads(text)


def guest_file(here: node.Node, vmid: int, name: str) -> Path:
    return need(here, vmid) / "files" / re.sub(r"[^A-Za-z0-9._-]", "_", name)
