"""The cluster log: what was changed by whom, as one JSON line an entry."""

from __future__ import annotations

import json
import time

from transom.lab.pve import access, files, node


def add(here: node.Node, caller: access.Caller, text: str) -> None:
    path = here.place.path("var/log/pve/cluster.log")
    number = files.count(here.place.path("run/pve-log-number"), 0)
    entry = {"id": number, "uid": number, "time": int(time.time()), "pri": 6, "tag": "pvedaemon", "pid": 1,
             "node": here.name, "user": caller.name, "msg": text}  # fmt: skip
    with files.locked_file(path.with_name("cluster.log.lock")), path.open("a") as out:
        out.write(json.dumps(entry) + "\n")


def newest(here: node.Node, caller: access.Caller, limit: int) -> list[dict[str, object]]:
    """The caller's own entries; all of them with Sys.Syslog."""
    everything = here.access.may(caller, "/", ("Sys.Syslog",))
    lines = files.read_text(here.place.path("var/log/pve/cluster.log")).splitlines()
    found = [json.loads(line) for line in reversed(lines)]
    return [one for one in found if everything or one["user"] == caller.name][: limit or None]
