"""The API of tasks, below /nodes/{node}/tasks."""

from __future__ import annotations

import time
from typing import Final

from transom.lab.pve import access, replies, scalars, tasks
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import Answer, Download, Request, Route

COUNT: Final = Prop("integer", minimum=0)
LIST: Final[Fields] = {
    "start": COUNT, "limit": COUNT, "userfilter": Prop(), "typefilter": Prop(),
    "vmid": Prop("integer", format="pve-vmid"), "errors": Prop("boolean"),
    "source": Prop(enum=("archive", "active", "all")), "since": Prop("integer"), "until": Prop("integer"),
    "statusfilter": Prop(),
}  # fmt: skip


def owned(one: tasks.Upid, caller: access.Caller) -> bool:
    """A token sees its own tasks, a user those of all its tokens too."""
    return caller.name in (one.caller.name, one.caller.user)


def row(one: tasks.Upid) -> dict[str, object]:
    found: dict[str, object] = {"upid": one.text, "node": one.node, "pid": one.pid, "pstart": one.pstart,
                                "starttime": one.starttime, "type": one.type, "id": one.id,
                                "user": one.caller.user}  # fmt: skip
    return found | ({"tokenid": one.caller.token} if one.caller.token else {})


def status_kind(text: str) -> str:
    if text == "OK":
        return "ok"
    if text.startswith("WARNINGS: "):
        return "warning"
    return "unknown" if text in ("", "unexpected status") else "error"


def get_tasks(request: Request) -> object:
    here = request.node
    auditor = here.access.may(request.caller, f"/nodes/{here.name}", ("Sys.Audit",))
    source = request.text("source", "archive")
    found = []
    for one in here.tasks.newest_first():
        if not (auditor or owned(one, request.caller)) or not wanted(request, one):
            continue
        end = here.tasks.end(one.text)
        if (end is None and source == "archive") or (end is not None and source == "active"):
            continue
        if end and not status_wanted(request, end[1]):
            continue
        found.append(row(one) | ({"endtime": end[0], "status": end[1]} if end else {"status": "RUNNING"}))
    start = request.number("start")
    return Answer(found[start : start + request.number("limit", 50)], len(found))


def wanted(request: Request, one: tasks.Upid) -> bool:
    filters = (
        request.text("userfilter").lower() in one.caller.name.lower(),
        request.text("typefilter") in ("", one.type),
        request.text("vmid") in ("", one.id),
        one.starttime >= request.number("since"),
        one.starttime <= request.number("until", int(time.time()) + 1),
    )
    return all(filters)


def status_wanted(request: Request, text: str) -> bool:
    if request.flag("errors"):
        return status_kind(text) != "ok"
    kinds = [kind.lower() for kind in scalars.split_list(request.text("statusfilter"))]
    return not kinds or status_kind(text) in kinds


def seen(request: Request, privilege: str = "Sys.Audit") -> tasks.Upid:
    """The task of the path, when the caller may see it."""
    one = tasks.decode(request.path["upid"])
    if one.node != request.node.name:
        replies.bad_parameters({"upid": "no such task"})
    found = request.node.tasks.find(one.text)
    if not owned(found, request.caller):
        request.node.access.check(request.caller, f"/nodes/{request.node.name}", privilege)
    return found


def get_status(request: Request) -> object:
    one = seen(request)
    end = request.node.tasks.end(one.text)
    return row(one) | ({"status": "stopped", "exitstatus": end[1]} if end else {"status": "running"})


def get_log(request: Request) -> object:
    asked = tasks.decode(request.path["upid"])
    if not (request.node.place.tasks / asked.text).exists():
        if not owned(asked, request.caller):
            request.node.access.check(request.caller, f"/nodes/{request.node.name}", "Sys.Audit")
        return Answer([{"n": 1, "t": "unable to open file - No such file or directory"}], 1)
    one = seen(request)
    lines = request.node.tasks.lines(one.text)
    if request.flag("download"):
        if "start" in request.params or "limit" in request.params:
            replies.die("'download' cannot be used together with 'start' or 'limit' parameters")
        return Download("".join(f"{line}\n" for line in lines).encode(), f"task-{one.node}-{one.type}.log")
    start, limit = request.number("start"), request.number("limit", 50)
    chosen = lines[start : start + limit] if limit else lines[start:]
    rows = [{"n": start + number, "t": text} for number, text in enumerate(chosen, 1)]
    return Answer(rows, len(lines)) if lines else Answer([{"n": 1, "t": "no content"}], 1)


def delete_task(request: Request) -> object:
    request.node.tasks.stop(seen(request, "Sys.Modify").text)
    return None


ONE: Final = "/nodes/{node}/tasks/{upid}"
ROUTES: Final = (
    Route("GET", "/nodes/{node}/tasks", get_tasks, LIST),
    Route("GET", ONE, lambda _: [{"name": "log"}, {"name": "status"}]),
    Route("DELETE", ONE, delete_task),
    Route("GET", f"{ONE}/status", get_status),
    Route("GET", f"{ONE}/log", get_log, {"start": COUNT, "limit": COUNT, "download": Prop("boolean")}),
)
