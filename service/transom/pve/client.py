"""The calls of the Proxmox VE API that Transom needs, typed and small. Every error is one of ``transom.errors``."""

from __future__ import annotations

import dataclasses
import email.utils
import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx
from proxmoxer.core import ProxmoxResource, ResourceException

from transom import errors, model
from transom.pve import answers, line, login, outside, session, tasks, translate
from transom.spec import wish

Value = str | int | float | bool | Sequence[str] | None
"""What a parameter may be: True and False become 1 and 0, None and empty lists are left out."""

_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


class Pve:
    """One cluster's or node's API; thread-safe. Made by ``connect``.

    All methods: Unreachable, Denied, Garbled as it comes; those with a node and a vmid also Rejected and Busy in PVE's words.
    """

    def __init__(self, wire: line.Line, used: session.Session, root: Pve | None = None) -> None:
        self._line = wire
        self._session = used
        self._root = root
        self._api = ProxmoxResource(base_url="/api2/json", session=used, serializer=session.Serializer())

    @property
    def user(self) -> str:
        """As whom it asks: ``user@realm``, with ``!name`` for a token."""
        return self._session.user

    @property
    def is_root(self) -> bool:
        """Whether it acts as root@pam itself, who alone may set some keys; root's own tokens may not."""
        return self.user == login.ROOT

    @property
    def root(self) -> Pve | None:
        """The same API as root@pam: itself, or beside a token the ticket's; None when no document gives such a login."""
        return self if self.is_root else self._root

    def close(self) -> None:
        """Close the kept connections, those of ``root`` too."""
        self._line.close()

    def __enter__(self) -> Pve:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what is there ---

    def version(self) -> str:
        """As in ``9.2.11``."""
        return str(answers.mapping(self._get("version"), "version")["version"])

    def nodes(self) -> tuple[answers.Node, ...]:
        """By name."""
        rows = answers.rows(self._get("nodes"), "node")
        found = (answers.Node(str(row["node"]), row.get("status") == "online") for row in rows)
        return tuple(sorted(found, key=lambda node: node.name))

    def cluster_status(self) -> answers.ClusterStatus:
        """Needs ``Sys.Audit`` on ``/``; without it a node that is alone is told by the list of nodes, which PVE shows to everybody
        in full (Denied for one of several)."""
        try:
            rows = answers.rows(self._get("cluster", "status"), "type")
        except errors.Denied:
            nodes = self.nodes()
            if len(nodes) != 1 or not nodes[0].online:
                raise
            return answers.ClusterStatus("", True)
        for row in rows:
            if row["type"] == "cluster":
                return answers.ClusterStatus(str(row.get("name", "")), answers.flag(row.get("quorate")))
        return answers.ClusterStatus("", True)

    def guests(self, node: str) -> dict[int, model.GuestState]:
        """The VMs on ``node`` that the user may see; Denied rather than empty when it may see none."""
        rows = answers.rows(self._get("nodes", _node(node), "qemu"), "vmid", "status")
        if not rows:
            self._require("VM.Audit")
        return {state.vmid: state for state in map(answers.parse_state, rows)}

    def storages(self, node: str) -> frozenset[str]:
        """Names of the storages that are active on ``node``; Denied rather than empty when the user may see none."""
        rows = answers.rows(self._get("nodes", _node(node), "storage"), "storage")
        if not rows:
            self._require("Datastore.Audit", "Datastore.AllocateSpace")
        return frozenset(str(row["storage"]) for row in rows if answers.flag(row.get("active")))

    def pci(self, node: str) -> tuple[model.PciDevice, ...]:
        """Every PCI function of ``node``; needs ``Sys.Audit`` on ``/``."""
        # bridges, memory controllers and processors are left out unless another list of classes is asked for
        rows = self._get("nodes", _node(node), "hardware", "pci", params={"pci-class-blacklist": ""})
        return tuple(map(answers.parse_pci, answers.rows(rows, "id", "vendor", "device", "class")))

    def packages(self, node: str) -> dict[str, str]:
        """Name → version of PVE's own packages on ``node``; needs ``Sys.Audit`` on it."""
        rows = answers.rows(self._get("nodes", _node(node), "apt", "versions"), "Package")
        return {str(row["Package"]): str(row["OldVersion"]) for row in rows if row.get("OldVersion")}

    def kernel(self, node: str) -> str:
        """The release of the running kernel; needs ``Sys.Audit`` on the node. Empty before PVE 8.1, which told it in prose."""
        data = answers.mapping(self._get("nodes", _node(node), "status"))
        return str(answers.mapping(data.get("current-kernel") or {}).get("release", ""))

    def cpus(self, node: str) -> int:
        """How many ``node`` has; needs ``Sys.Audit`` on it."""
        data = answers.mapping(self._get("nodes", _node(node), "status"))
        return answers.number(answers.mapping(data.get("cpuinfo") or {}).get("cpus"))

    def images(self, node: str, storage: str) -> frozenset[str]:
        """The ISO images on ``storage`` as ``node`` sees it, as PVE names them: ``local:iso/virtio-win.iso``."""
        path = ("nodes", _node(node), "storage", storage, "content")
        return frozenset(
            str(row["volid"]) for row in answers.rows(self._get(*path, params={"content": "iso"}), "volid")
        )

    def mappings(self, node: str) -> dict[str, model.PciMapping]:
        """The PCI mappings that the user may see, by name, with what PVE finds wrong with them on ``node``. Not before PVE 8.0."""
        rows = answers.rows(self._get("cluster", "mapping", "pci", params={"check-node": _node(node)}), "id", "map")
        return {str(row["id"]): answers.parse_mapping(row) for row in rows}

    def set_mapping(self, name: str, entries: Sequence[str], *, digest: str) -> None:
        """Make a PCI mapping (``digest`` empty), give it these entries, or delete it (no entries). Void when the mappings are not
        those of ``digest``."""
        if not entries:
            self._call("DELETE", "cluster", "mapping", "pci", name)
        elif digest:
            self._call("PUT", "cluster", "mapping", "pci", name, data={"map": entries, "digest": digest})
        else:
            self._call("POST", "cluster", "mapping", "pci", data={"id": name, "map": entries})

    def everywhere(self) -> tuple[model.ClusterGuest, ...]:
        """The VMs and containers of the whole cluster that the token may see, up to 10 s late."""
        rows = answers.rows(self._get("cluster", "resources", params={"type": "vm"}), "vmid", "node")
        return tuple(
            model.ClusterGuest(answers.number(row["vmid"]), str(row["node"]), str(row.get("hastate") or ""))
            for row in rows
        )

    def permissions(self, path: str = "") -> dict[str, frozenset[str]]:
        """Path → our own privileges there: of ``path`` alone, or of every path that the access list names."""
        data = answers.mapping(self._get("access", "permissions", params={"path": path} if path else {}))
        return {path: frozenset(answers.mapping(granted)) for path, granted in data.items()}

    def clock(self) -> float:
        """The time of the server that answers, in seconds since the epoch, to a second. Garbled when it does not tell."""
        date = self._session.request("GET", "/api2/json/version").date
        try:
            return email.utils.parsedate_to_datetime(date).timestamp()
        except ValueError as error:
            raise errors.Garbled(f"the API's answer has no date: {date[:80]!r}") from error

    def nextid(self) -> int:
        """A VMID that is free now; nothing reserves it."""
        return answers.number(self._get("cluster", "nextid"))

    # --- one VM ---

    def config(self, node: str, vmid: int, *, current: bool = False) -> tuple[dict[str, str], str]:
        """The values as text, pending changes merged in (``current``: without them), and the digest of the file."""
        data = answers.mapping(
            self._get(*_vm(node, vmid), "config", params={"current": 1} if current else {}), "digest"
        )
        return {key: str(value) for key, value in data.items() if key != "digest"}, str(data["digest"])

    def pending(self, node: str, vmid: int) -> tuple[tuple[answers.Pending, ...], str]:
        """Every key with what a restart would change, and the digest of the file."""
        rows = answers.rows(self._get(*_vm(node, vmid), "pending"), "key")
        found = [answers.parse_pending(row) for row in rows]
        digest = next((item.value for item in found if item.key == "digest"), None)
        if not digest:
            raise errors.Garbled(f"pending of VM {vmid} on {node}: no digest")
        return tuple(item for item in found if item.key != "digest"), digest

    def status(self, node: str, vmid: int) -> model.GuestState:
        """Whether it runs, its lock, and the version of its QEMU."""
        data = answers.mapping(self._get(*_vm(node, vmid), "status", "current"), "status")
        return answers.parse_state({"vmid": vmid, **data})

    def create(self, node: str, vmid: int, values: Mapping[str, Value]) -> str:
        """Start to make a VM; the UPID. Rejected when the VMID is taken."""
        return self._task("POST", "nodes", _node(node), "qemu", data={"vmid": int(vmid), **values})

    def update(
        self,
        node: str,
        vmid: int,
        *,
        digest: str,
        values: Mapping[str, Value] | None = None,
        delete: Sequence[str] = (),
        revert: Sequence[str] = (),
    ) -> None:
        """Set, delete and revert keys at once; what a running VM cannot take is left pending, without a word.

        Void when the file is not the one of ``digest``. A failed hotplug is Rejected although the other keys were applied.
        """
        data: dict[str, Value] = {**(values or {}), "digest": digest}
        data["delete"] = ",".join(delete) or None
        data["revert"] = ",".join(revert) or None
        self._call("PUT", *_vm(node, vmid), "config", data=data)

    def start(self, node: str, vmid: int) -> str:
        """The UPID; that it starts is not said before the task ends."""
        return self._task("POST", *_vm(node, vmid), "status", "start")

    def stop(self, node: str, vmid: int) -> str:
        """Pull the plug; the UPID."""
        return self._task("POST", *_vm(node, vmid), "status", "stop")

    def shutdown(self, node: str, vmid: int, *, seconds: int | None = None, force: bool = False) -> str:
        """Ask the guest to end, for ``seconds`` (PVE's own default: 180); ``force`` stops it then. The UPID."""
        data = {"timeout": seconds, "forceStop": force or None}
        return self._task("POST", *_vm(node, vmid), "status", "shutdown", data=data)

    def reboot(self, node: str, vmid: int, *, seconds: int | None = None) -> str:
        """Shut down and start with pending changes applied; the UPID."""
        return self._task("POST", *_vm(node, vmid), "status", "reboot", data={"timeout": seconds})

    def destroy(self, node: str, vmid: int) -> str:
        """Delete a stopped VM with the disks that it owns; the UPID. What else names it (backup jobs, HA) is left alone."""
        return self._task("DELETE", *_vm(node, vmid))

    # --- tasks ---

    def task(self, upid: str) -> tasks.Task:
        """A task with the tail of its log."""
        state = self.task_state(upid)
        return dataclasses.replace(state, log=tuple(self.task_log(upid, 0, 0)[-tasks.TAIL :]))

    def task_state(self, upid: str) -> tasks.Task:
        """A task without its log."""
        return tasks.parse_state(upid, self._get("nodes", tasks.node(upid), "tasks", upid, "status"))

    def task_log(self, upid: str, start: int, limit: int) -> list[str]:
        """Up to ``limit`` lines from the 0-based ``start``; limit 0 means all."""
        params = {"start": start, "limit": limit}
        return tasks.parse_log(upid, self._get("nodes", tasks.node(upid), "tasks", upid, "log", params=params))

    def task_ids(self, node: str, vmid: int) -> tuple[str, ...]:
        """UPIDs of the tasks on ``node`` that concern a VM and that we may see, newest first, running ones included."""
        # PVE gives 50 unless told, and without ``source`` only those that have ended.
        params: dict[str, Value] = {"vmid": int(vmid), "source": "all", "limit": 500}
        rows = answers.rows(self._get("nodes", _node(node), "tasks", params=params), "upid", "starttime")
        ordered = sorted(rows, key=lambda row: answers.number(row["starttime"]), reverse=True)
        return tuple(str(row["upid"]) for row in ordered)

    def follow(
        self,
        upid: str,
        *,
        timeout: float = 300,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        on_log: Callable[[str], None] | None = None,
    ) -> tasks.Task:
        """The task once it has ended, well or not, as ``tasks.follow`` says."""
        return tasks.follow(self, upid, timeout=timeout, sleep=sleep, now=now, on_log=on_log)

    def wait(
        self,
        upid: str,
        *,
        timeout: float = 300,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        on_log: Callable[[str], None] | None = None,
    ) -> tasks.Task:
        """Follow a task to its end, and judge it, as ``tasks.judge`` says."""
        return tasks.judge(self.follow(upid, timeout=timeout, sleep=sleep, now=now, on_log=on_log))

    # --- below ---

    def _get(self, *path: str, params: Mapping[str, Value] | None = None) -> Any:
        return self._call("GET", *path, data=params)

    def _task(self, method: str, *path: str, data: Mapping[str, Value] | None = None) -> str:
        upid = str(self._call(method, *path, data=data))
        try:
            tasks.node(upid)
        except errors.Garbled as error:
            error.unsure = True
            raise
        return upid

    def _call(self, method: str, *path: str, data: Mapping[str, Value] | None = None) -> Any:
        resource = self._api(list(path))
        send = {"GET": resource.get, "POST": resource.post, "PUT": resource.put, "DELETE": resource.delete}[method]
        try:
            return send(**_plain(data or {}))
        except ResourceException as error:
            what, remedy = f"{method} /{'/'.join(path)}", self._session.remedy
            raise translate.from_answer(error, what, writes=method != "GET", remedy=remedy) from error
        except errors.Garbled as error:
            error.unsure = method != "GET"  # it was answered, so it may well have been carried out
            raise

    def _require(self, *privileges: str) -> None:
        granted = self.permissions().values()
        if not any(set(privileges) & held for held in granted):
            lacks = f"{self.user} may see none: it lacks {' and '.join(privileges)} everywhere"
            raise errors.Denied(lacks, hint=translate.RIGHTS_HINT)


class Connector:
    """Connects; what its connections have in common (tickets, turns to write on a node) is in here. One in a process."""

    def __init__(self, world: outside.Outside | None = None) -> None:
        self._world = world or outside.Outside()
        self._turns = outside.Turns()
        self._tickets: outside.Common[login.Ticket] = outside.Common()

    def connect(self, access: wish.Access, *, timeout: float = 30, transport: httpx.BaseTransport | None = None) -> Pve:
        """As ``connect`` below."""
        token = login.Token(access.token_id, access.token_secret) if access.token_id else None
        ticket = self._ticket(access, access.ticket) if access.ticket else None
        wire = line.Line(access, timeout, transport, self._world.now)
        other = self._as(ticket, access, wire) if ticket else None
        if token:
            return self._as(token, access, wire, other if other and other.is_root else None)
        if other is None:
            raise errors.Denied("neither a token nor a ticket is given to log in to the API with")
        return other

    def _as(self, who: login.Login, access: wish.Access, wire: line.Line, root: Pve | None = None) -> Pve:
        return Pve(wire, session.Session(wire, who, access.endpoints, self._turns, self._world), root)

    def _ticket(self, access: wish.Access, ref: wish.TicketRef) -> login.Ticket:
        return self._tickets.get((access.endpoints, ref), lambda: login.Ticket(ref, self._world))


def connect(access: wish.Access, *, timeout: float = 30, transport: httpx.BaseTransport | None = None) -> Pve:
    """The API as ``access`` says; nothing is sent yet. ``timeout`` in seconds for each wait: PVE itself waits 10 for a lock.

    With a token it asks as that; a ticket of root@pam beside it is ``root``. ``transport`` takes the place of the network
    (tests). Denied when the token, the CA file or the endpoints cannot be used.
    """
    return Connector().connect(access, timeout=timeout, transport=transport)


def _plain(data: Mapping[str, Value]) -> dict[str, Any]:
    """PVE's parameters: it refuses ``True`` as a boolean, and an empty list becomes a 501."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, bool):
            found[key] = int(value)
        elif isinstance(value, str | int | float):
            found[key] = value
        elif value:
            found[key] = list(value)
    return found


def _node(name: str) -> str:
    if not _NODE.fullmatch(name):
        raise ValueError(f"not a node's name: {name!r}")
    return name


def _vm(node: str, vmid: int) -> tuple[str, ...]:
    return ("nodes", _node(node), "qemu", str(int(vmid)))
