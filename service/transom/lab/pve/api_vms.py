"""The API below /nodes/{node}/qemu: configuration, creation, power, snapshots, clones."""

from __future__ import annotations

from typing import Final

from transom.lab.pve import (
    change,
    clusterlog,
    conf,
    create,
    monitor,
    power,
    replies,
    runstate,
    schema,
    snapshots,
    status,
)
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import LOGGED_IN, Request, Route, vm_right
from transom.lab.pve.tasks import Log

FLAG: Final = Prop("boolean")
SKIPLOCK: Final[Fields] = {"skiplock": FLAG}
TIMEOUT: Final[Fields] = {"timeout": Prop("integer", minimum=0)}
CONFIG_RIGHTS: Final = vm_right(
    "VM.Config.Disk", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Memory", "VM.Config.Network", "VM.Config.HWType",
    "VM.Config.Options", "VM.Config.Cloudinit", any_of=True,
)  # fmt: skip
POWER: Final = vm_right("VM.PowerMgmt")
PUT_PARAMS: Final[Fields] = {
    **schema.SETTABLE,
    "skiplock": FLAG,
    "delete": Prop(format="pve-configid-list"),
    "revert": Prop(format="pve-configid-list"),
    "force": Prop("boolean", requires="delete"),
    "digest": Prop(max_length=40),
    "skip_cloud_init": FLAG,
}
POST_PARAMS: Final[Fields] = {
    **PUT_PARAMS,
    "background_delay": Prop("integer", minimum=1, maximum=30),
    "import-working-storage": Prop(format="pve-storage-id"),
}
CREATE_PARAMS: Final[Fields] = {
    **schema.SETTABLE,
    "vmid": Prop("integer", optional=False, format="pve-vmid"),
    "archive": Prop(max_length=255),
    "storage": Prop(format="pve-storage-id"),
    "force": Prop("boolean", requires="archive"),
    "unique": Prop("boolean", requires="archive"),
    "live-restore": FLAG,
    "pool": Prop(format="pve-poolid"),
    "bwlimit": Prop("integer", minimum=0),
    "start": FLAG,
    "ha-managed": FLAG,
    "import-working-storage": Prop(format="pve-storage-id"),
}


def root_flag(request: Request, *names: str) -> None:
    for name in names:
        if request.text(name) not in ("", "0") and not request.caller.root:
            replies.bad_parameters({name: "Only root may use this option."})


def get_config(request: Request) -> object:
    current = request.node.load(request.vmid)
    if request.text("snapshot") and request.flag("current"):
        both = "cannot use 'snapshot' parameter with 'current'"
        replies.bad_parameters({"snapshot": both, "current": both})
    if name := request.text("snapshot"):
        if name not in current.snapshots:
            replies.die(f"snapshot '{name}' does not exist")
        return shown(current.snapshots[name]) | {"digest": current.digest}
    section = dict(current.main)
    if not request.flag("current"):
        section |= {name: value for name, value in current.pending.items() if name != "delete"}
        for name in current.pending_deletes():
            section.pop(name, None)
    return shown(section) | {"digest": current.digest}


def shown(section: conf.Section) -> dict[str, object]:
    """Values as the API gives them; secrets as stars."""
    return {name: "**********" if name == "cipassword" else value for name, value in section.items()}


def pending_rows(current: conf.Conf) -> list[dict[str, object]]:
    deletes = current.pending_deletes()
    main = shown(current.main) | {"digest": current.digest}
    rows: list[dict[str, object]] = []
    for name, value in main.items():
        row: dict[str, object] = {"key": name, "value": value}
        if name in current.pending:
            row["pending"] = current.pending[name]
        if name in deletes:
            row["delete"] = 2 if deletes[name] else 1
        rows.append(row)
    rows += [{"key": name, "pending": value} for name, value in current.pending.items()
             if name != "delete" and name not in main]  # fmt: skip
    return rows + [{"key": name, "delete": 2 if force else 1} for name, force in deletes.items() if name not in main]


def get_pending(request: Request) -> object:
    return pending_rows(request.node.load(request.vmid))


def prepared(request: Request) -> change.Change:
    return change.prepare_change(request.node, request.caller, request.vmid, request.texts())


def put_config(request: Request) -> object:
    todo = prepared(request)
    echo = request.node.tasks.echo
    todo.run(echo or (lambda _text: None))
    clusterlog.add(request.node, request.caller, todo.line)
    return None


def post_config(request: Request) -> object:
    todo = prepared(request)

    def work(log: Log) -> None:
        todo.run(log, notice=log)
        clusterlog.add(request.node, request.caller, todo.line)

    upid = request.node.tasks.start("qmconfig", str(request.vmid), request.caller, work)
    if delay := request.number("background_delay"):
        ended = request.node.tasks.wait(upid, delay)
        if ended == "OK":
            return None
        if ended is not None:
            replies.die(f"failed to update VM {request.vmid}: {ended}")
    return upid


def post_create(request: Request) -> object:
    given = {name: value for name, value in request.texts().items() if value is not None}
    here, caller = request.node, request.caller
    made = create.check(here, caller, request.number("vmid"), given)

    def work(log: Log) -> None:
        create.create(here, caller, made, log)
        if made.start:
            log("Execute autostart")
            here.tasks.start("qmstart", str(made.vmid), caller, lambda own: power.start(here, made.vmid, own))

    return here.tasks.start("qmcreate", str(made.vmid), caller, work)


def delete_vm(request: Request) -> object:
    root_flag(request, "skiplock")
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    create.check_destroy(here, vmid)

    def work(log: Log) -> None:
        create.destroy(here, vmid, log, skiplock=skiplock)
        if request.flag("purge"):
            log(f"purging VM {vmid} from related configurations..")

    return here.tasks.start("qmdestroy", str(vmid), request.caller, work)


def post_start(request: Request) -> object:
    root_flag(request, "stateuri", "skiplock", "migratedfrom", "migration_type", "migration_network", "targetstorage",
              "force-cpu", "with-conntrack-state", "nets-host-mtu")  # fmt: skip
    if request.text("targetstorage") not in ("", "0") and not request.text("migratedfrom"):
        replies.bad_parameters({"targetstorage": "targetstorage can only by used with migratedfrom."})
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    return here.tasks.start("qmstart", str(vmid), request.caller,
                            lambda log: power.start(here, vmid, log, skiplock=skiplock))  # fmt: skip


def post_stop(request: Request) -> object:
    root_flag(request, "skiplock", "keepActive", "migratedfrom")
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    overrule, source = request.flag("overrule-shutdown"), request.text("migratedfrom")

    def work(log: Log) -> None:
        if overrule:
            end_shutdowns(request, log)
        if source:
            power.need_config(here, vmid, source)
        power.stop(here, vmid, log, skiplock=skiplock)

    return here.tasks.start("qmstop", str(vmid), request.caller, work)


def end_shutdowns(request: Request, log: Log) -> None:
    ended = []
    for one in request.node.tasks.newest_first():
        if (one.type, one.id) == ("qmshutdown", str(request.vmid)) and request.node.tasks.end(one.text) is None:
            request.node.tasks.stop(one.text)
            ended.append(one.text)
    if ended:
        log(f"overruled qmshutdown tasks: {', '.join(ended)}")


def refuse_paused(request: Request) -> None:
    running = runstate.read(request.node.place, request.vmid)
    if running and running.paused and not request.flag("forceStop"):
        replies.die("VM is paused - cannot shutdown")


def post_shutdown(request: Request) -> object:
    root_flag(request, "skiplock", "keepActive")
    refuse_paused(request)
    here, vmid = request.node, request.vmid
    timeout = float(request.text("timeout")) if request.text("timeout") else None
    force, skiplock = request.flag("forceStop"), request.flag("skiplock")
    return here.tasks.start("qmshutdown", str(vmid), request.caller, lambda log: power.shutdown(
        here, vmid, log, timeout=timeout, force=force, skiplock=skiplock))  # fmt: skip


def post_reboot(request: Request) -> object:
    refuse_paused(request)
    here, vmid = request.node, request.vmid
    power.need_running(here, vmid)
    timeout = float(request.text("timeout")) if request.text("timeout") else None
    return here.tasks.start("qmreboot", str(vmid), request.caller,
                            lambda log: power.reboot(here, vmid, log, timeout=timeout))  # fmt: skip


def post_reset(request: Request) -> object:
    root_flag(request, "skiplock")
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    power.need_running(here, vmid)
    return here.tasks.start(
        "qmreset", str(vmid), request.caller, lambda log: power.reset(here, vmid, log, skiplock=skiplock)
    )


def post_suspend(request: Request) -> object:
    root_flag(request, "skiplock")
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    power.need_running(here, vmid)
    if request.flag("todisk"):
        here.access.check_vm(request.caller, vmid, schema.DISK)
        if any(schema.of_kind(name, "hostpci") for name in here.load(vmid).main):
            replies.die("cannot suspend VM to disk due to passed-through PCI device(s), which lack the possibility to "
                        "save/restore their internal state")  # fmt: skip
        replies.die("the lab does not save the state of a VM to disk")
    return here.tasks.start("qmpause", str(vmid), request.caller,
                            lambda log: power.suspend(here, vmid, log, skiplock=skiplock))  # fmt: skip


def post_resume(request: Request) -> object:
    root_flag(request, "skiplock", "nocheck")
    here, vmid, skiplock = request.node, request.vmid, request.flag("skiplock")
    path = here.place.config(vmid)
    on_disk = path.exists() and here.load(vmid).main.get("lock") == "suspended"
    if not on_disk:
        power.need_running(here, vmid)
    work = power.start if on_disk else power.resume
    return here.tasks.start("qmresume", str(vmid), request.caller, lambda log: work(here, vmid, log, skiplock=skiplock))


def get_snapshots(request: Request) -> object:
    running = runstate.read(request.node.place, request.vmid) is not None
    return snapshots.rows(request.node.load(request.vmid), running)


def post_snapshot(request: Request) -> object:
    here, vmid, name, words = request.node, request.vmid, request.text("snapname"), request.text("description")
    if name == "current" or name.lower() == "pending":
        replies.die(f"unable to use snapshot name '{name.lower()}' (reserved name)")
    here.load(vmid)
    return here.tasks.start("qmsnapshot", str(vmid), request.caller,
                            lambda log: snapshots.create(
        here, vmid, name, words, log, with_memory=request.flag("vmstate")))  # fmt: skip


def post_rollback(request: Request) -> object:
    here, vmid, name = request.node, request.vmid, request.path["snapname"]
    start = request.flag("start")

    def work(log: Log) -> None:
        snapshots.rollback(here, vmid, name, log)
        if start:
            power.start(here, vmid, log)

    return here.tasks.start("qmrollback", str(vmid), request.caller, work)


def delete_snapshot(request: Request) -> object:
    here, vmid, name = request.node, request.vmid, request.path["snapname"]
    return here.tasks.start("qmdelsnapshot", str(vmid), request.caller,
                            lambda log: snapshots.delete(here, vmid, name, log))  # fmt: skip


def get_snapshot_config(request: Request) -> object:
    current = request.node.load(request.vmid)
    return shown(snapshots.need(current, request.path["snapname"]))


def put_snapshot_config(request: Request) -> object:
    here, vmid = request.node, request.vmid
    with here.place.locked(vmid):
        current = here.load(vmid)
        change.check_lock(current)
        section = snapshots.need(current, request.path["snapname"])
        if "description" in request.params:
            section["description"] = request.text("description")
        here.save(vmid, current)
    return None


def post_clone(request: Request) -> object:
    here, caller = request.node, request.caller
    power.need_config(here, request.vmid)
    newid = request.number("newid")
    if not here.access.may(caller, f"/vms/{newid}", ("VM.Allocate",)):
        replies.denied()
    words = {name: request.text(name) for name in ("name", "description", "pool", "target", "storage", "format")}
    full = request.flag("full") if request.text("full") else None
    todo = create.Clone(request.vmid, newid, snapshot=request.text("snapname"), full=full, **words)
    create.check_clone(here, caller, todo)
    return here.tasks.start("qmclone", str(request.vmid), caller, lambda log: create.clone(here, caller, todo, log))


def check_template(request: Request) -> conf.Conf:
    current = request.node.load(request.vmid)
    change.check_lock(current)
    if current.snapshots:
        replies.die("unable to create template, because VM contains snapshots")
    if current.main.get("template"):
        replies.die("you can't convert a template to a template")
    if runstate.read(request.node.place, request.vmid):
        replies.die("you can't convert a VM to template if VM is running")
    return current


def post_template(request: Request) -> object:
    here, vmid = request.node, request.vmid
    check_template(request)

    def work(log: Log) -> None:
        with here.place.locked(vmid, log):
            current = check_template(request)
            current.main["template"] = 1
            here.save(vmid, current)

    return here.tasks.start("qmtemplate", str(vmid), request.caller, work)


def put_unlink(request: Request) -> object:
    given: change.Params = {"delete": request.text("idlist"), "force": "1" if request.flag("force") else "0"}
    change.prepare_change(request.node, request.caller, request.vmid, given).run(lambda _text: None)
    return None


def post_monitor(request: Request) -> object:
    line = request.text("command")
    monitor.check(request.node, request.caller, line)
    return monitor.answer(request.node, request.vmid, line)


def vm_index(_request: Request) -> object:
    return [{"subdir": name} for name in (
        "config", "cloudinit", "pending", "status", "unlink", "vncproxy", "termproxy", "migrate", "resize", "move",
        "rrd", "rrddata", "monitor", "agent", "snapshot", "spiceproxy", "sendkey", "firewall", "mtunnel",
        "remote_migrate")]  # fmt: skip


def check_status_index(_request: Request) -> object:
    return [{"subdir": name} for name in ("current", "reboot", "reset", "shutdown", "start", "stop", "suspend")]


VM: Final = "/nodes/{node}/qemu/{vmid}"
AUDIT: Final = vm_right("VM.Audit")
SNAPNAME: Final = Prop(optional=False, format="pve-configid", max_length=40)
START: Final[Fields] = {
    **SKIPLOCK, **TIMEOUT, "stateuri": Prop(max_length=128), "migratedfrom": Prop(format="pve-node"),
    "migration_type": Prop(enum=("secure", "insecure")), "migration_network": Prop(), "machine": schema.MACHINE,
    "force-cpu": Prop(), "targetstorage": Prop(), "with-conntrack-state": FLAG,
    "nets-host-mtu": Prop(pattern=r"net\d+=\d+(,net\d+=\d+)*"),
}  # fmt: skip
STOP: Final[Fields] = {**SKIPLOCK, **TIMEOUT, "keepActive": FLAG, "migratedfrom": Prop(format="pve-node"),
                       "overrule-shutdown": FLAG}  # fmt: skip
CLONE: Final[Fields] = {
    "newid": Prop("integer", optional=False, format="pve-vmid"), "name": Prop(format="dns-name"),
    "description": Prop(), "pool": Prop(format="pve-poolid"), "snapname": Prop(format="pve-configid", max_length=40),
    "storage": Prop(format="pve-storage-id"), "format": Prop(enum=("raw", "qcow2", "vmdk")), "full": FLAG,
    "target": Prop(format="pve-node"), "bwlimit": Prop("integer", minimum=0),
}  # fmt: skip
ROUTES: Final = (
    Route("GET", "/nodes/{node}/qemu", status.node_vms, {"full": FLAG}),
    Route("POST", "/nodes/{node}/qemu", post_create, CREATE_PARAMS),
    Route("GET", VM, vm_index),
    Route("DELETE", VM, delete_vm, {**SKIPLOCK, "purge": FLAG, "destroy-unreferenced-disks": FLAG},
          vm_right("VM.Allocate")),
    Route("GET", f"{VM}/config", get_config, {"current": FLAG, "snapshot": Prop(format="pve-configid")}, AUDIT),
    Route("PUT", f"{VM}/config", put_config, PUT_PARAMS, CONFIG_RIGHTS),
    Route("POST", f"{VM}/config", post_config, POST_PARAMS, CONFIG_RIGHTS),
    Route("GET", f"{VM}/pending", get_pending, {}, AUDIT),
    Route("GET", f"{VM}/status", check_status_index),
    Route("GET", f"{VM}/status/current", status.current, {}, AUDIT),
    Route("POST", f"{VM}/status/start", post_start, START, POWER),
    Route("POST", f"{VM}/status/stop", post_stop, STOP, POWER),
    Route("POST", f"{VM}/status/shutdown", post_shutdown, {**SKIPLOCK, **TIMEOUT, "forceStop": FLAG,
                                                           "keepActive": FLAG}, POWER),
    Route("POST", f"{VM}/status/reboot", post_reboot, TIMEOUT, POWER),
    Route("POST", f"{VM}/status/reset", post_reset, SKIPLOCK, POWER),
    Route("POST", f"{VM}/status/suspend", post_suspend, {**SKIPLOCK, "todisk": FLAG, "statestorage":
                                                         Prop(format="pve-storage-id", requires="todisk")}, POWER),
    Route("POST", f"{VM}/status/resume", post_resume, {**SKIPLOCK, "nocheck": FLAG}, POWER),
    Route("GET", f"{VM}/snapshot", get_snapshots, {}, AUDIT),
    Route("POST", f"{VM}/snapshot", post_snapshot, {"snapname": SNAPNAME, "vmstate": FLAG, "description": Prop()},
          vm_right("VM.Snapshot")),
    Route("DELETE", f"{VM}/snapshot/{{snapname}}", delete_snapshot, {"force": FLAG}, vm_right("VM.Snapshot")),
    Route("GET", f"{VM}/snapshot/{{snapname}}", lambda _: [{"cmd": "rollback"}, {"cmd": "config"}]),
    Route("PUT", f"{VM}/snapshot/{{snapname}}/config", put_snapshot_config, {"description": Prop()},
          vm_right("VM.Snapshot")),
    Route("GET", f"{VM}/snapshot/{{snapname}}/config", get_snapshot_config, {},
          vm_right("VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit", any_of=True)),
    Route("POST", f"{VM}/snapshot/{{snapname}}/rollback", post_rollback, {"start": FLAG},
          vm_right("VM.Snapshot", "VM.Snapshot.Rollback", any_of=True)),
    Route("POST", f"{VM}/clone", post_clone, CLONE, vm_right("VM.Clone")),
    Route("POST", f"{VM}/template", post_template, {"disk": Prop()}, vm_right("VM.Allocate")),
    Route("PUT", f"{VM}/unlink", put_unlink, {"idlist": Prop(optional=False), "force": FLAG},
          vm_right("VM.Config.Disk")),
    Route("POST", f"{VM}/monitor", post_monitor, {"command": Prop(optional=False)},
          vm_right("Sys.Audit", "Sys.Modify", any_of=True)),
    Route("GET", "/nodes/{node}/lxc", lambda _request: [], {}, LOGGED_IN),
    Route("GET", "/nodes/{node}/lxc/{vmid}/config", lambda request: replies.die(
        f"Configuration file 'nodes/{request.node.name}/lxc/{request.vmid}.conf' does not exist"), {}, AUDIT),
)  # fmt: skip
