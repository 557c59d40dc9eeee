"""The API of a node besides its VMs: versions, status, hardware, network."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Final

from transom.lab.pve import files, hardware, neighbour, node, pcinames, perljson, replies, scalars, status
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import ROOT_ONLY, Request, Right, Route

HIDDEN_CLASSES: Final = "05;06;0b"
FLAG: Final = Prop("boolean")


def version(request: Request) -> object:
    world = request.node.world
    return {"version": world.manager, "release": world.release, "repoid": world.repoid}


def nodes(request: Request) -> object:
    """GET /nodes: names for everybody, measurements with Sys.Audit on the node."""
    here, rows = request.node, []
    for name in here.world.nodes:
        one = here.sibling(name)
        row = status.visible_node(here, request.caller, name)
        mark = fingerprint(one) if one else ""
        rows.append(row | ({"ssl_fingerprint": mark} if mark else {}))
    return rows + [status.node_row(name, True) for name in neighbour.online(here)]


def fingerprint(here: node.Node) -> str:
    """SHA-256 of the node's certificate in colon hex, '' without one."""
    pem = files.read_text(here.place.path("etc/pve/local/pveproxy-ssl.pem"))
    if not pem:
        return ""
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    text = hashlib.sha256(base64.b64decode(body)).hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


def post_status(request: Request) -> object:
    """A reboot of the lab's node is the fleet's business: VMs stop, and the run folder goes."""
    for path in request.node.place.run.glob("*.json"):
        path.unlink()
    return None


def post_execute(request: Request) -> object:
    text = request.text("commands")
    try:
        json.loads(text)
    except ValueError as error:
        wrong = perljson.complaint(text, error)
        replies.bad_parameters({
            "commands": "invalid format - commands param did not contain valid JSON: "
                        f"{wrong} at /usr/share/perl5/PVE/API2/Nodes.pm line 99.\n"})  # fmt: skip
    if json.loads(text):
        replies.die("the lab does not run several commands at once")
    return []


def versions(request: Request) -> object:
    """GET apt/versions, of the packages that matter to a VM with a passed-through device."""
    world = request.node.world
    packages = {"proxmox-ve": world.release, "pve-manager": world.manager, "qemu-server": world.qemu_server,
                "pve-qemu-kvm": f"{world.qemu}-1"}  # fmt: skip
    return [{"Package": name, "OldVersion": text, "Version": text, "CurrentState": "Installed", "Arch": "amd64",
             **({"RunningKernel": world.kernel, "ManagerVersion": f"{world.manager}/{world.repoid}"}
                if name in ("proxmox-ve", "pve-manager") else {})} for name, text in packages.items()]  # fmt: skip


def machines(request: Request) -> object:
    major, minor = (int(part) for part in request.node.world.qemu.split(".")[:2])
    numbers = [(one, two) for one in range(4, major + 1) for two in range(3 if one < major else minor + 1)]
    return [{"id": f"pc-{kind}-{one}.{two}", "type": kind, "version": f"{one}.{two}"}
            for kind in ("i440fx", "q35") for one, two in numbers]  # fmt: skip


def network(request: Request) -> object:
    return [{"iface": name, "type": "bridge", "active": 1, "autostart": 1, "method": "static", "method6": "manual",
             "bridge_ports": "eno1", "bridge_stp": "off", "bridge_fd": "0", "families": ["inet"], "priority": number}
            for number, name in enumerate(request.node.world.bridges, 3)]  # fmt: skip


# -- hardware


def get_pci(request: Request) -> object:
    """Bridges, memory controllers and processors are hidden unless another list of classes is asked for."""
    asked = request.text("pci-class-blacklist", HIDDEN_CLASSES)
    hidden = [one.lower() for one in scalars.split_list(asked)]
    verbose = request.text("verbose", "1") == "1"
    names = request.node.hardware.names()
    rows = []
    for one in request.node.hardware.pci():
        if any(one.pci_class.startswith(prefix) for prefix in hidden):
            continue
        row: dict[str, object] = {"id": one.address, "class": f"0x{one.pci_class}", "vendor": f"0x{one.vendor}",
                                  "device": f"0x{one.device}", "iommugroup": one.group}  # fmt: skip
        if verbose:
            row |= {key: text for key, text in described(one, names).items() if text}
        rows.append(row)
    return rows


def described(one: hardware.Pci, names: pcinames.Names) -> dict[str, str]:
    found = {"vendor_name": names.vendor(one.vendor), "device_name": names.device(one.id)}
    if one.subsystem != "0000:0000":
        found |= {"subsystem_vendor": f"0x{one.subvendor}", "subsystem_device": f"0x{one.subdevice}",
                  "subsystem_vendor_name": names.vendor(one.subvendor)}  # fmt: skip
    return found


def get_usb(request: Request) -> object:
    """USB devices with their place: hubs at level 0, `port` counted from 0."""
    rows = []
    for one in request.node.hardware.usb():
        bus, _, path = one.port.partition("-")
        row: dict[str, object] = {"busnum": int(bus.removeprefix("usb")), "devnum": one.devnum, "vendid": one.vendor,
                                  "prodid": one.product, "speed": one.speed, "class": one.device_class, "port": 0,
                                  "level": path.count(".") + bool(path)}  # fmt: skip
        if path:
            row |= {"usbpath": path, "port": int(path.split(".")[-1]) - 1}
        rows.append(row | ({"product": one.name} if one.name else {}))
    return rows


AUDIT: Final = Right("/", ("Sys.Audit", "Sys.Modify"), any_of=True)
NODE_AUDIT: Final = Right("/nodes/{node}", ("Sys.Audit",))
BLACKLIST: Final[Fields] = {"pci-class-blacklist": Prop(), "verbose": FLAG}
INDEX: Final = ("apt", "capabilities", "config", "execute", "hardware", "lxc", "network", "qemu", "status", "storage",
                "tasks", "version")  # fmt: skip
NODE: Final = "/nodes/{node}"
ROUTES: Final = (
    Route("GET", "/", lambda _: [{"subdir": name} for name in ("access", "cluster", "nodes", "pools", "storage", "version")]),
    Route("GET", "/version", version),
    Route("GET", "/nodes", nodes),
    Route("GET", NODE, lambda _: [{"name": name} for name in INDEX]),
    Route("GET", f"{NODE}/version", version),
    Route("GET", f"{NODE}/status", status.node_status, {}, NODE_AUDIT),
    Route("POST", f"{NODE}/status", post_status, {"command": Prop(optional=False, enum=("reboot", "shutdown"))},
          Right("/nodes/{node}", ("Sys.PowerMgmt",))),
    Route("POST", f"{NODE}/execute", post_execute, {"commands": Prop(optional=False)}, ROOT_ONLY),
    Route("GET", f"{NODE}/time", lambda _: status.now(), {}, NODE_AUDIT),
    Route("GET", f"{NODE}/apt/versions", versions, {}, NODE_AUDIT),
    Route("GET", f"{NODE}/network", network, {"type": Prop()}),
    Route("GET", f"{NODE}/capabilities", lambda _: [{"name": "qemu"}]),
    Route("GET", f"{NODE}/capabilities/qemu", lambda _: [{"name": name} for name in ("cpu", "machines")]),
    Route("GET", f"{NODE}/capabilities/qemu/machines", machines, {"arch": Prop()}),
    Route("GET", f"{NODE}/hardware", lambda _: [{"type": "pci"}, {"type": "usb"}]),
    Route("GET", f"{NODE}/hardware/pci", get_pci, BLACKLIST, AUDIT),
    Route("GET", f"{NODE}/hardware/pci/{{pciid}}", lambda _: [{"method": "mdev"}]),
    Route("GET", f"{NODE}/hardware/pci/{{pciid}}/mdev", lambda _: [], {}, AUDIT),
    Route("GET", f"{NODE}/hardware/usb", get_usb, {}, Right("/", ("Sys.Modify",))),
)  # fmt: skip
