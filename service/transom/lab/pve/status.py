"""What runs: the status of VMs, nodes and the cluster, with made-up but plausible measurements."""

from __future__ import annotations

import time
from typing import Final

from transom.lab.pve import access, change, conf, devices, drives, formats, node, runstate, storage
from transom.lab.pve.routing import Request

CPUS: Final = 6
MEMORY: Final = 32 * 2**30
DISK: Final = 100 * 2**30


def vm_row(here: node.Node, vmid: int, current: conf.Conf) -> dict[str, object]:
    """The fields that every list of VMs has."""
    main, running = current.main, runstate.read(here.place, vmid)
    memory = change.memory_of(current.text("memory")) * 2**20
    row: dict[str, object] = {
        "vmid": vmid,
        "name": main.get("name") or f"VM {vmid}",
        "status": "running" if running else "stopped",
        "cpus": main.get("vcpus") or min(int(main.get("sockets") or 1) * int(main.get("cores") or 1), CPUS),
        "maxmem": memory,
        "maxdisk": boot_disk_size(current),
        "disk": 0,
        "uptime": running.uptime if running else 0,
        "cpu": 0,
        "mem": memory // 2 if running else 0,
        "memhost": memory // 2 if running else 0,
        "netin": 0,
        "netout": 0,
    }
    if running:
        row["pid"] = running.pid
        row |= {f"pressure{what}{how}": 0 for what in ("cpu", "io", "memory") for how in ("some", "full")}
    row |= {name: main[name] for name in ("lock", "tags", "template") if main.get(name)}
    if any(name.startswith("serial") for name in main):
        row["serial"] = 1
    if balloon := main.get("balloon"):
        row |= {"balloon_min": int(balloon) * 2**20, "shares": main.get("shares", 1000)}
    return row


def boot_disk_size(current: conf.Conf) -> int:
    for name in drives.ORDER:
        drive = drives.parse(name, current.text(name)) if name in current.main else None
        if drive and not drive.cdrom and "size" in drive.values and not name.startswith(("efi", "tpm")):
            return drives.parse_size(drive.values["size"])
    return 0


def current(request: Request) -> object:
    """GET status/current."""
    here, vmid = request.node, request.vmid
    now = here.load(vmid)
    running = runstate.read(here.place, vmid)
    row = vm_row(here, vmid, now) | {"ha": {"managed": 0}} | display(now.text("vga"))
    row["qmpstatus"] = "stopped" if running is None else "paused" if running.paused else "running"
    agent = formats.parse_property_string(devices.AGENT, now.text("agent")) if now.text("agent").strip() else {}
    if agent.get("enabled") == "1":
        row["agent"] = 1
    return row


def display(value: str) -> dict[str, object]:
    if not value:
        return {}
    parts = formats.parse_property_string(devices.VGA, value)
    spice = {"spice": 1} if parts.get("type", "").startswith(("virtio", "qxl")) else {}
    return {"clipboard": parts.get("clipboard"), **spice}


def node_vms(request: Request) -> object:
    here = request.node
    rows = []
    for vmid in here.place.vmids():
        if here.access.may(request.caller, f"/vms/{vmid}", ("VM.Audit",)):
            rows.append(vm_row(here, vmid, here.load(vmid)))
    return rows


def resource_rows(here: node.Node, request: Request) -> list[dict[str, object]]:
    """The VMs of one node as /cluster/resources shows them."""
    rows = []
    for vmid in here.place.vmids():
        if not here.access.may(request.caller, f"/vms/{vmid}", ("VM.Audit",)):
            continue
        raw = vm_row(here, vmid, here.load(vmid))
        keep = ("vmid", "name", "status", "maxmem", "maxdisk", "disk", "uptime", "cpu", "mem", "memhost", "netin",
                "netout", "lock", "tags")  # fmt: skip
        row = {key: raw[key] for key in keep if key in raw}
        rows.append(row | {"id": f"qemu/{vmid}", "type": "qemu", "node": here.name, "maxcpu": raw["cpus"],
                           "template": raw.get("template", 0), "diskread": 0, "diskwrite": 0})  # fmt: skip
    return rows


def node_row(name: str, online: bool) -> dict[str, object]:
    row: dict[str, object] = {"node": name, "id": f"node/{name}", "type": "node",
                              "status": "online" if online else "offline"}  # fmt: skip
    if online:
        row |= {"cpu": 0.01, "maxcpu": CPUS, "mem": MEMORY // 4, "maxmem": MEMORY, "disk": DISK // 10, "maxdisk": DISK,
                "uptime": 1000, "level": ""}  # fmt: skip
    return row


def visible_node(here: node.Node, caller: access.Caller, name: str) -> dict[str, object]:
    """A node's row, cut to its name for who may not audit it."""
    row = node_row(name, here.sibling(name) is not None)
    if here.access.may(caller, f"/nodes/{name}", ("Sys.Audit",)):
        return row
    return {key: row[key] for key in ("node", "id", "type", "status", "level") if key in row}


def resources(request: Request) -> object:
    """GET /cluster/resources. Unlike the real one it never lags."""
    here, wanted = request.node, request.text("type")
    rows: list[dict[str, object]] = []
    for name in here.world.nodes:
        one = here.sibling(name)
        if one and wanted in ("", "vm"):
            rows += resource_rows(one, request)
        if wanted in ("", "node"):
            row = visible_node(here, request.caller, name)
            rows.append(row | ({"cgroup-mode": 1} if "maxcpu" in row else {}))
        if one and wanted in ("", "storage"):
            rows += storage_rows(one, request)
    return rows


def storage_rows(here: node.Node, request: Request) -> list[dict[str, object]]:
    rows = []
    for store in storage.storages(here).values():
        if here.access.may(
            request.caller, f"/storage/{store.id}", ("Datastore.Audit", "Datastore.AllocateSpace"), True
        ):
            rows.append({"id": f"storage/{here.name}/{store.id}", "type": "storage", "storage": store.id,
                         "node": here.name, "plugintype": store.type, "status": "available", "disk": store.size // 10,
                         "maxdisk": store.size, "content": ",".join(sorted(store.content.split(","))),
                         "shared": int(store.shared)})  # fmt: skip
    return list(rows)


def node_status(request: Request) -> object:
    """GET /nodes/{node}/status."""
    world = request.node.world
    memory = {"total": MEMORY, "used": MEMORY // 4, "free": MEMORY - MEMORY // 4, "available": MEMORY - MEMORY // 4}
    return {
        "uptime": 1000,
        "cpu": 0.01,
        "wait": 0,
        "idle": 0,
        "loadavg": ["0.10", "0.10", "0.10"],
        "kversion": f"Linux {world.kernel} #1 SMP PREEMPT_DYNAMIC",
        "current-kernel": {
            "sysname": "Linux",
            "release": world.kernel,
            "version": "#1 SMP PREEMPT_DYNAMIC",
            "machine": "x86_64",
        },
        "boot-info": {"mode": "efi", "secureboot": 0},
        "pveversion": f"pve-manager/{world.manager}/{world.repoid}",
        "cpuinfo": {
            "cpus": CPUS,
            "cores": CPUS,
            "sockets": 1,
            "model": "Lab CPU",
            "mhz": "3000",
            "hvm": "1",
            "user_hz": 100,
            "flags": "vmx",
        },
        "memory": memory,
        "swap": {"total": 0, "used": 0, "free": 0},
        "rootfs": {"total": DISK, "used": DISK // 10, "free": DISK - DISK // 10, "avail": DISK - DISK // 10},
        "ksm": {"shared": 0},
    }


def now() -> dict[str, object]:
    seconds = int(time.time())
    return {"time": seconds, "localtime": seconds, "timezone": "UTC"}
