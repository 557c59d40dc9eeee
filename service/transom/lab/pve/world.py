"""The world a lab server lives in: nodes, users and rights, storages, mappings, hardware and versions.

A `World` is the state on the first day; `install` writes it to the files of a root, which are the truth from then on.
`contract_world` is the rig of the recorded contract, `lab_world` a node of the lab's fleet.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

CONTRACT_SUBSYSTEMS: Final = {  # of the rig, which its world.json does not list in full
    "0000:00:00.0": "1458:5000",
    "0000:00:02.0": "1458:d000",
    "0000:00:14.0": "1458:5007",
    "0000:00:1f.0": "1458:5001",
    "0000:00:1f.3": "1458:a182",
    "0000:00:1f.4": "1458:5001",
    "0000:03:00.0": "1458:e000",
}
LEAST_PRIVILEGE: Final = (  # what the product's token needs: nothing that reaches a root-only key
    "Datastore.AllocateSpace", "Datastore.AllocateTemplate", "Datastore.Audit", "Mapping.Audit", "Mapping.Use",
    "SDN.Use", "Sys.Audit", "VM.Allocate", "VM.Audit", "VM.Config.CDROM", "VM.Config.CPU", "VM.Config.Disk",
    "VM.Config.HWType", "VM.Config.Memory", "VM.Config.Network", "VM.Config.Options", "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead", "VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted", "VM.PowerMgmt",
    "VM.Snapshot", "VM.Snapshot.Rollback",
)  # fmt: skip


@dataclass(frozen=True)
class User:
    userid: str  # name@realm
    password: str = ""  # '' cannot log in with a password
    totp: str = ""  # base32; '' has no second factor


@dataclass(frozen=True)
class Token:
    tokenid: str  # name@realm!token
    secret: str
    privsep: bool = True


@dataclass(frozen=True)
class Acl:
    path: str
    who: str  # user or token
    roles: tuple[str, ...]
    propagate: bool = True


@dataclass(frozen=True)
class Storage:
    id: str
    type: str = "dir"
    path: str = ""  # as seen inside the node; '' for block storages
    content: str = "backup,images,iso,rootdir,snippets,vztmpl"
    shared: bool = False
    size: int = 100 * 2**30  # bytes


@dataclass(frozen=True)
class PciDevice:
    """Identifiers in hex without 0x: address with domain, `id` and `subsystem` as vendor:device."""

    address: str
    id: str
    pci_class: str
    group: int = -1
    subsystem: str = ""
    driver: str = ""


@dataclass(frozen=True)
class UsbDevice:
    port: str
    id: str


@dataclass(frozen=True)
class World:
    """`delay`: seconds that a refused login or a dead guest agent costs; `obedient`: guests obey a shutdown."""

    nodes: tuple[str, ...] = ("pve1",)
    cluster: str = ""
    users: tuple[User, ...] = ()
    tokens: tuple[Token, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    acl: tuple[Acl, ...] = ()
    storages: tuple[Storage, ...] = ()
    bridges: tuple[str, ...] = ()
    pci_mappings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    usb_mappings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pci: tuple[PciDevice, ...] = ()
    usb: tuple[UsbDevice, ...] = ()
    snippets: tuple[str, ...] = ()  # executable hook scripts of the storage `local`
    ports: tuple[str, ...] = ()  # serial and parallel devices of the host
    vms: Mapping[str, str] = field(default_factory=dict)  # vmid: text of its configuration, on the first node
    manager: str = "9.2.11"
    repoid: str = "stub0000stub0000"
    qemu_server: str = "9.2.6"
    qemu: str = "7.2.22"
    kernel: str = "7.0.2-1-pve"
    program: str = "kvm"  # how QEMU calls itself in its messages
    kvm: bool = True
    obedient: bool = True
    delay: float = 3.0

    @property
    def release(self) -> str:
        return ".".join(self.manager.split(".")[:2])

    def credentials(self) -> dict[str, dict[str, str]]:
        return {
            "passwords": {user.userid: user.password for user in self.users if user.password},
            "tokens": {token.tokenid: token.secret for token in self.tokens},
        }

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)


def load(text: str) -> World:
    """The opposite of `World.dump`."""
    raw: dict[str, Any] = json.loads(text)
    kinds = {"users": User, "tokens": Token, "storages": Storage, "pci": PciDevice, "usb": UsbDevice}
    for name, kind in kinds.items():
        raw[name] = tuple(kind(**row) for row in raw.get(name, ()))
    raw["acl"] = tuple(Acl(**{**row, "roles": tuple(row["roles"])}) for row in raw.get("acl", ()))
    for name in ("nodes", "bridges", "ports", "snippets"):
        raw[name] = tuple(raw.get(name, ()))
    for name in ("roles", "pci_mappings", "usb_mappings"):
        raw[name] = {key: tuple(value) for key, value in raw.get(name, {}).items()}
    return World(**raw)


def secret(seed: str) -> str:
    """A token's secret in the shape of a UUID, the same for the same seed: this is a lab, not a safe."""
    import hashlib

    text = hashlib.sha256(seed.encode()).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def contract_world(path: Path) -> World:
    """The rig that `world.json` of the contract describes: its text decides users, rights, mappings and devices."""
    raw: dict[str, Any] = json.loads(path.read_text())
    users, tokens, acl = _accounts(raw["user_cfg"])
    versions = re.search(r"pve-manager (\S+) / qemu-server (\S+).*QEMU ([\d.]+)", raw["server"])
    if not versions:
        raise ValueError(f"{path}: 'server' names no versions")
    return World(
        users=users,
        tokens=tokens,
        acl=acl,
        storages=(Storage("local", path="/var/lib/vz"),),
        pci_mappings=_mappings(raw["mappings"]["pci.cfg"]),
        usb_mappings=_mappings(raw["mappings"]["usb.cfg"]),
        pci=tuple(_pci(row) for row in raw["pci"]),
        usb=tuple(UsbDevice(port, number) for port, number in raw["usb"]),
        snippets=tuple(re.findall(r"local:snippets/(\S+)", " ".join(raw.get("snippets", ())))),
        ports=("/dev/ttyS0",),
        vms={
            "200": "boot: \nmemory: 64\nname: other\n",
            "400": "boot: \nmemory: 64\nname: snap\nparent: s1\n\n[s1]\nboot: \nmemory: 64\nname: snap\nsnaptime: 1\n",
        },
        manager=versions[1],
        qemu_server=versions[2],
        qemu=versions[3],
        program="qemu-system-x86_64",
        kvm=False,
        obedient=False,
    )


def _accounts(lines: list[str]) -> tuple[tuple[User, ...], tuple[Token, ...], tuple[Acl, ...]]:
    users, tokens, acl = [], [], []
    for fields in (line.split(":") for line in lines if line):
        if fields[0] == "user":
            users.append(User(fields[1], f"password-of-{fields[1]}"))
        elif fields[0] == "token":
            tokens.append(Token(fields[1], secret(fields[1]), fields[3] == "1"))
        elif fields[0] == "acl":
            acl.append(Acl(fields[2], fields[3], tuple(fields[4].split(",")), fields[1] == "1"))
    return tuple(users), tuple(tokens), tuple(acl)


def _mappings(lines: list[str]) -> dict[str, tuple[str, ...]]:
    from transom.lab.pve import sections

    return {name: tuple(values.get("map", ())) for name, values in sections.parse("\n".join(lines)).items()}


def _pci(row: list[str]) -> PciDevice:
    words = dict(word.split(" ", 1) for word in row[2:])
    subsystem = words.get("subsys", CONTRACT_SUBSYSTEMS.get(row[0], ""))
    return PciDevice(row[0], row[1], words["class"], int(words["group"]), subsystem)


def lab_world(
    node: str = "pve1",
    cluster: tuple[str, ...] = (),
    *,
    pci: tuple[PciDevice, ...] = (),
    usb: tuple[UsbDevice, ...] = (),
    qemu: str = "10.1.2",
    vms: Mapping[str, str] | None = None,
    root_password: str = "",
) -> World:
    """One node of the fleet, alone or in a cluster, with the least-privilege token `transom@pve!transom`.

    Without `pci` and `usb` the node's own sysfs stays as it is. The token's rights are real: a root-only key is refused.
    """
    users = (User("root@pam", root_password), User("transom@pve"))
    tokens = (Token("transom@pve!transom", secret(f"transom@{node}"), privsep=False),)
    return World(
        nodes=cluster or (node,),
        cluster="lab" if len(cluster) > 1 else "",
        users=users,
        tokens=tokens,
        roles={"Transom": LEAST_PRIVILEGE},
        acl=(Acl("/", "transom@pve", ("Transom",)),),
        storages=(
            Storage("local", path="/var/lib/vz", content="backup,import,iso,snippets,vztmpl"),
            Storage("local-lvm", type="lvmthin", content="images,rootdir", size=500 * 2**30),
        ),
        bridges=("vmbr0",),
        pci=pci,
        usb=usb,
        vms=vms or {},
        qemu=qemu,
        delay=0.2,
    )
