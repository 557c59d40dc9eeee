"""The API of the guest agent, below /nodes/{node}/qemu/{vmid}/agent."""

from __future__ import annotations

import base64
from typing import Final

from transom.lab.pve import agent, files
from transom.lab.pve.formats import Fields, Prop
from transom.lab.pve.routing import Handler, Request, Right, Route, vm_right

BASE: Final = "/nodes/{node}/qemu/{vmid}/agent"
READ: Final = ("get-time", "info", "network-get-interfaces", "get-vcpus", "get-fsinfo", "get-memory-blocks",
               "get-memory-block-info", "get-host-name", "get-osinfo", "get-users", "get-timezone")  # fmt: skip
ACTIONS: Final = {
    "ping": "VM.GuestAgent.Audit",
    "fsfreeze-freeze": "VM.GuestAgent.FileSystemMgmt",
    "fsfreeze-thaw": "VM.GuestAgent.FileSystemMgmt",
    "fstrim": "VM.GuestAgent.FileSystemMgmt",
    "suspend-hybrid": "VM.PowerMgmt",
    "suspend-ram": "VM.PowerMgmt",
    "suspend-disk": "VM.PowerMgmt",
    "shutdown": "VM.PowerMgmt",
}
COMMANDS: Final = tuple(sorted((*READ, *ACTIONS, "fsfreeze-status")))
MORE: Final = ("exec", "exec-status", "file-read", "file-write", "set-user-password")


def right(privilege: str) -> Right:
    return vm_right(privilege, "VM.GuestAgent.Unrestricted", any_of=True)


def simple(command: str) -> Handler:
    return lambda request: {"result": agent.ask(request.node, request.vmid, command)}


def post_any(request: Request) -> object:
    return {"result": agent.ask(request.node, request.vmid, request.text("command"))}


def post_exec(request: Request) -> object:
    return {"pid": agent.execute(request.node, request.vmid, request.words("command"))}


def get_exec_status(request: Request) -> object:
    return agent.status(request.node, request.vmid, request.number("pid"))


def get_file(request: Request) -> object:
    path = agent.guest_file(request.node, request.vmid, request.text("file"))
    content = files.read(path)
    if content is None:
        return {"content": "", "bytes-read": 0}
    return {"content": content.decode("utf-8", "replace"), "bytes-read": len(content)}


def post_file(request: Request) -> object:
    path = agent.guest_file(request.node, request.vmid, request.text("file"))
    content = request.text("content").encode()
    files.write(path, content if request.text("encode", "1") == "1" else base64.b64decode(content))
    return None


def post_password(request: Request) -> object:
    agent.need(request.node, request.vmid)
    return {"result": {}}


def index(_request: Request) -> object:
    return [{"name": name} for name in sorted((*COMMANDS, *MORE))]


def routes() -> tuple[Route, ...]:
    unrestricted = vm_right("VM.GuestAgent.Unrestricted")
    command: Fields = {"command": Prop("array", optional=False), "input-data": Prop(max_length=65536)}
    content: Fields = {"file": Prop(optional=False), "content": Prop(optional=False, max_length=61440),
                       "encode": Prop("boolean")}  # fmt: skip
    password: Fields = {"username": Prop(optional=False), "password": Prop(optional=False, min_length=5, max_length=1024),
                        "crypted": Prop("boolean")}  # fmt: skip
    frozen = vm_right("VM.GuestAgent.Audit", "VM.GuestAgent.FileSystemMgmt", "VM.GuestAgent.Unrestricted", any_of=True)
    return (
        Route("GET", BASE, index),
        Route("POST", BASE, post_any, {"command": Prop(optional=False, enum=COMMANDS)},
              vm_right("VM.GuestAgent.Unrestricted", "VM.GuestAgent.Unrestricted", any_of=True)),
        *(Route("GET", f"{BASE}/{name}", simple(name), {}, right("VM.GuestAgent.Audit")) for name in READ),
        *(Route("POST", f"{BASE}/{name}", simple(name), {}, right(need)) for name, need in ACTIONS.items()),
        Route("POST", f"{BASE}/fsfreeze-status", simple("fsfreeze-status"), {}, frozen),
        Route("POST", f"{BASE}/exec", post_exec, command, unrestricted),
        Route("GET", f"{BASE}/exec-status", get_exec_status, {"pid": Prop("integer", optional=False)}, unrestricted),
        Route("GET", f"{BASE}/file-read", get_file, {"file": Prop(optional=False)}, right("VM.GuestAgent.FileRead")),
        Route("POST", f"{BASE}/file-write", post_file, content, right("VM.GuestAgent.FileWrite")),
        Route("POST", f"{BASE}/set-user-password", post_password, password, unrestricted),
    )  # fmt: skip


ROUTES: Final = routes()
