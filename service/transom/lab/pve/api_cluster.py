"""The API below /cluster: status, resources, ids, mappings, log, tasks."""

from __future__ import annotations

import hashlib
from typing import Final

from transom.lab.pve import clusterlog, files, mapping, replies, scalars, status
from transom.lab.pve.api_tasks import owned
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import Handler, Request, Right, Route

SEE: Final = ("Mapping.Modify", "Mapping.Use", "Mapping.Audit")


def get_status(request: Request) -> object:
    here = request.node
    rows: list[dict[str, object]] = []
    names = here.world.nodes
    if here.world.cluster or not here.place.quorate:  # only a cluster can lose its quorum
        rows.append({"type": "cluster", "id": "cluster", "name": here.world.cluster or "lab", "version": len(names),
                     "nodes": len(names), "quorate": int(here.place.quorate)})  # fmt: skip
    for number, name in enumerate(names, 1):
        rows.append({"type": "node", "id": f"node/{name}", "name": name, "nodeid": number if here.world.cluster else 0,
                     "online": int(here.sibling(name) is not None), "local": int(name == here.name),
                     "level": "", "ip": "127.0.0.1"})  # fmt: skip
    return rows


def get_next_id(request: Request) -> object:
    taken = {vmid for name in request.node.world.nodes if (one := request.node.sibling(name))
             for vmid in one.place.vmids()}  # fmt: skip
    if wanted := request.text("vmid"):
        if int(wanted) in taken:
            replies.bad_parameters({"vmid": f"VM {wanted} already exists"})
        return wanted
    return str(next(number for number in range(100, 10**9) if number not in taken))


def get_log(request: Request) -> object:
    return clusterlog.newest(request.node, request.caller, request.number("max"))


def get_tasks(request: Request) -> object:
    """All tasks that the caller may see, of every node within reach."""
    rows = []
    for name in request.node.world.nodes:
        here = request.node.sibling(name)
        for one in here.tasks.newest_first() if here else ():
            auditor = here is not None and here.access.may(request.caller, f"/nodes/{name}", ("Sys.Audit",))
            if here is None or not (auditor or owned(one, request.caller)):
                continue
            row: dict[str, object] = {"upid": one.text, "node": name, "type": one.type, "id": one.id,
                                      "user": one.caller.user, "starttime": one.starttime}  # fmt: skip
            if one.caller.token:
                row["tokenid"] = one.caller.token
            if end := here.tasks.end(one.text):
                row |= {"endtime": end[0], "status": end[1], "saved": "1"}
            rows.append(row)
    return rows[:50]


# -- mappings


def digest(request: Request, kind: str) -> str:
    return hashlib.sha1(files.read(request.node.place.path(f"etc/pve/mapping/{kind}.cfg")) or b"").hexdigest()


def shown(one: mapping.Mapping, kind: str) -> dict[str, object]:
    row: dict[str, object] = {"type": kind, "map": list(one.entries)}
    for key, value in one.options.items():
        row[key] = int(value) if key in ("mdev", "live-migration-capable") else value
    return row


def list_mappings(kind: str) -> Handler:
    def handler(request: Request) -> object:
        rows = []
        for name, one in mapping.load(request.node, kind).items():
            if not request.node.access.may(request.caller, f"/mapping/{kind}/{name}", SEE, any_of=True):
                continue
            row = shown(one, kind) | {"id": name, "digest": digest(request, kind)}
            if request.text("check-node"):
                row["checks" if kind == "pci" else "errors"] = checks(request, kind, one)
            rows.append(row)
        return rows

    return handler


def checks(request: Request, kind: str, one: mapping.Mapping) -> list[dict[str, str]]:
    """What is wrong with a mapping on the node that was asked for."""
    entries = one.on(kind, request.node.name)
    if not entries:
        return [{"severity": "warning", "message": f"No mapping for node {request.text('check-node')}."}]
    judge = mapping.check_pci if kind == "pci" else mapping.check_usb
    found = [judge(request.node, one, entry) for entry in entries]
    return [{"severity": "error", "message": f"Invalid configuration: {text}\n"} for text in found if text]


def get_mapping(kind: str) -> Handler:
    def handler(request: Request) -> object:
        return shown(mapping.need(request.node, kind, request.path["id"]), kind) | {"digest": digest(request, kind)}

    return handler


OPTIONS = ("description", "mdev", "live-migration-capable")


def options_of(request: Request) -> dict[str, str]:
    return {name: request.text(name) for name in OPTIONS
            if request.params.get(name) is not None}  # fmt: skip


def post_mapping(kind: str) -> Handler:
    def handler(request: Request) -> None:
        name = request.text("id")
        with files.locked_file(request.node.place.path(f"run/mapping-{kind}.lock")):
            known = mapping.load(request.node, kind)
            if name in known:
                replies.die(f"create hardware mapping failed: {kind} ID '{name}' already defined")
            known[name] = mapping.Mapping(name, tuple(request.words("map")), options_of(request))
            mapping.save(request.node, kind, known)

    return handler


def put_mapping(kind: str) -> Handler:
    def handler(request: Request) -> None:
        name, failed = request.path["id"], "update hardware mapping failed:"
        with files.locked_file(request.node.place.path(f"run/mapping-{kind}.lock")):
            known = mapping.load(request.node, kind)
            if request.text("digest") not in ("", digest(request, kind)):
                replies.die(f"{failed} detected modified configuration - file changed by other user? Try again.")
            if name not in known:
                replies.die(f"{failed} {kind} ID '{name}' does not exist")
            if not request.words("map"):
                replies.die(f"{failed} missing value for required option 'map'")
            options = known[name].options | options_of(request)
            for gone in scalars.split_list(request.text("delete")):
                if gone not in OPTIONS:
                    replies.die(f"{failed} no such option '{gone}'")
                options.pop(gone, None)
            known[name] = mapping.Mapping(name, tuple(request.words("map")), options)
            mapping.save(request.node, kind, known)

    return handler


def delete_mapping(kind: str) -> Handler:
    def handler(request: Request) -> None:
        with files.locked_file(request.node.place.path(f"run/mapping-{kind}.lock")):
            known = mapping.load(request.node, kind)
            known.pop(request.path["id"], None)
            mapping.save(request.node, kind, known)

    return handler


def mapping_routes(kind: str) -> tuple[Route, ...]:
    base, one = f"/cluster/mapping/{kind}", f"/cluster/mapping/{kind}/{{id}}"
    entry = Prop(fields=mapping.ENTRY[kind])
    flags: Fields = {"mdev": Prop("boolean"), "live-migration-capable": Prop("boolean")} if kind == "pci" else {}
    values: Fields = {"map": Prop("array", items=entry), "description": Prop(max_length=4096), **flags}
    new: Fields = {**values, "id": Prop(optional=False, format="pve-configid"),
                   "map": Prop("array", optional=False, items=entry)}  # fmt: skip
    change: Fields = {**values, "digest": Prop(max_length=64), "delete": Prop(max_length=4096)}
    modify = Right(f"/mapping/{kind}", ("Mapping.Modify",))
    return (
        Route("GET", base, list_mappings(kind), {"check-node": Prop(format="pve-node")}),
        Route("POST", base, post_mapping(kind), new, modify),
        Route("GET", one, get_mapping(kind), {}, Right(f"/mapping/{kind}/{{id}}", SEE, any_of=True, silent=True)),
        Route("PUT", one, put_mapping(kind), change, Right(f"/mapping/{kind}/{{id}}", ("Mapping.Modify",))),
        Route("DELETE", one, delete_mapping(kind), {}, modify),
    )


def index(_request: Request) -> object:
    return [{"name": name} for name in ("log", "mapping", "nextid", "options", "resources", "status", "tasks")]


def options(request: Request) -> object:
    text = files.read_text(request.node.place.path("etc/pve/datacenter.cfg"))
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


TYPES: Final = ("vm", "storage", "node", "sdn")
AUDIT: Final = Right("/", ("Sys.Audit",))
ROUTES: Final = (
    Route("GET", "/cluster", index),
    Route("GET", "/cluster/status", get_status, {}, AUDIT),
    Route("GET", "/cluster/options", options),
    Route("GET", "/cluster/resources", status.resources, {"type": Prop(enum=TYPES)}),
    Route("GET", "/cluster/nextid", get_next_id, {"vmid": Prop("integer", format="pve-vmid")}),
    Route("GET", "/cluster/log", get_log, {"max": Prop("integer", minimum=1)}),
    Route("GET", "/cluster/tasks", get_tasks),
    Route("GET", "/cluster/ha/resources", lambda _: [], {"type": Prop()}, AUDIT),
    Route("GET", "/cluster/mapping", lambda _: [{"name": name} for name in ("dir", "pci", "usb")]),
    Route("GET", "/cluster/mapping/dir", lambda _: [], {"check-node": Prop(format="pve-node")}),
    *mapping_routes("pci"),
    *mapping_routes("usb"),
)
