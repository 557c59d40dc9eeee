"""What the documents mean together, for one node: references followed, recipes laid in, secrets still only named.

``resolve`` makes these from documents; ``plan`` compares them with facts. Nothing here has been checked against a host.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from transom import model


@dataclasses.dataclass(frozen=True)
class Want:
    """One wanted value and who wants it.

    ``kernel`` and ``qemu`` are version conditions (``<6.8``, ``>=9.2,<10.0``); empty means always.
    """

    value: str
    document: str
    """``Node/pve1``, ``VirtualMachine/win11 (recipe igd-legacy-seabios 1)``."""
    why: str = ""
    kernel: str = ""
    qemu: str = ""


@dataclasses.dataclass(frozen=True)
class DeviceWish:
    """A PCI device by identity: ids are lower-case hex; ``subsystem`` and ``address`` narrow it when given."""

    name: str
    id: str
    """``vendor:device``"""
    subsystem: str = ""
    address: str = ""
    mapping: str = ""
    """The cluster's resource mapping by which VMs get it; empty for its address."""


@dataclasses.dataclass(frozen=True)
class RomInput:
    """A file that a ROM is built of: at ``file``, from ``url``, or kept by its hash alone. ``sha256`` is empty for a file that
    nothing pins."""

    role: Literal["source", "helper", "legacy"]
    file: str = ""
    url: str = ""
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class RomBuild:
    """How a ROM is built: its inputs in the order legacy, firmware, helpers, and the options of ``transom rom build``."""

    inputs: tuple[RomInput, ...]
    devices: tuple[str, ...]
    """``vendor:device``, lower-case hex, all of one vendor."""
    driver: str = ""
    compress: bool = False
    pci23: bool = False
    class_code: int = 0
    revision: int = 0
    board: str = ""
    """For people: whose firmware it is."""


@dataclasses.dataclass(frozen=True)
class RomWish:
    """An option ROM file: where it lies on our side, and what it must hash to. Both are empty for one that is yet to be built;
    then ``build`` says how."""

    name: str
    file: str
    sha256: str
    document: str
    placed_as: str = ""
    """The name on nodes that the document gives; empty for one of our own making."""

    build: RomBuild | None = None

    @property
    def filename(self) -> str:
        """The name on a node, under ``/usr/share/kvm``: ours carries the hash, so that a new ROM never overwrites an old one."""
        return self.placed_as or f"{self.name}-{self.sha256[:12] or 'not-built'}.rom"

    @property
    def ready(self) -> bool:
        """What it holds is known."""
        return bool(self.sha256)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Where a recipe must not be used: QEMU versions and device ids (both must match; empty matches all)."""

    reason: str
    qemu: str = ""
    devices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class GuestWish:
    """One VM. ``config`` maps PVE keys to wanted values in PVE's own text; ``hostpci0`` is made by the plan from ``device``,
    ``hostpci`` (options) and ``rom``. A disk that is to be made reads ``local-lvm:32,ssd=1``."""

    name: str
    document: str
    vmid: int | None
    config: Mapping[str, Want]
    device: DeviceWish | None = None
    hostpci: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rom: RomWish | None = None
    refusals: tuple[Refusal, ...] = ()
    recipe: str = ""
    """``igd-legacy-seabios 1``: name and version; empty when the VM has none."""
    identity: str = ""
    """``smbios:UUID``, ``vmgenid:UUID`` or ``none`` of the VM that the document took over; empty for one of our making."""


@dataclasses.dataclass(frozen=True)
class Window:
    """A time in which changes may be made, or with ``deny`` may not: from each time of ``cron`` on, for ``duration``."""

    cron: str
    """Five fields; judged in ``timezone``."""
    duration: str
    """``90m``, ``2h``, ``1d``: as written, because a day is not always 24 hours."""
    timezone: str
    """A name of the tz database, ``Europe/Berlin``."""
    deny: bool = False


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far changes go that nobody was asked for."""

    impact: model.Impact = model.Impact.LIVE
    """The dearest that is made."""
    fleet_drift_percent: int = 20
    """1 to 100: when more of the fleet than this newly differs in one scan, nothing is changed."""


@dataclasses.dataclass(frozen=True)
class RebootWish:
    """What becomes of running guests when their node is rebooted."""

    guests: Literal["shutdown", "migrate"] = "shutdown"
    timeout: int = 180
    """Seconds that a guest may take to shut down before it is stopped."""


@dataclasses.dataclass(frozen=True)
class PolicyWish:
    """What may happen to a node without being asked."""

    mode: Literal["observe", "propose", "enforce"] = "observe"
    document: str = ""
    windows: tuple[Window, ...] = ()
    """Without a window that allows, every time is allowed; one that denies wins."""
    limits: Limits = Limits()
    reboot: RebootWish = RebootWish()
    """The Node document's own, where it has one."""


@dataclasses.dataclass(frozen=True)
class SecretRef:
    """Where a secret is, never the secret: exactly one of ``file`` (absolute) and ``env`` is set."""

    file: str = ""
    env: str = ""


@dataclasses.dataclass(frozen=True)
class TicketRef:
    """A user's login: ``user@realm``, and where its password and the secret of its TOTP are."""

    user: str
    password: SecretRef
    totp: SecretRef | None = None


@dataclasses.dataclass(frozen=True)
class Access:
    """How a node is reached. A token, a ticket or both log in to the API; ``token_id`` is empty when there is no token."""

    endpoints: tuple[str, ...]
    """``https://host:8006``, tried in order."""
    token_id: str
    """``user@realm!name``"""
    token_secret: SecretRef
    fingerprint: str
    """SHA-256 of the API's certificate, upper-case hex with colons; empty when ``ca`` is given."""
    ca: str
    """Path of a CA file; empty when a fingerprint is pinned."""
    ssh_host: str
    """Empty where SSH is not granted: the node is then seen and changed by its API alone."""
    ssh_port: int
    ssh_user: str
    ssh_key: SecretRef
    ssh_host_key: str
    """One ``known_hosts`` key: ``ssh-ed25519 AAAA…``."""
    ticket: TicketRef | None = None
    fingerprints: tuple[str, ...] = ()
    """Of the endpoints, in their order, where each has a certificate of its own; ``fingerprint`` is empty then."""

    @property
    def pins(self) -> tuple[str, ...]:
        """Every certificate that is believed; empty when ``ca`` is given."""
        return self.fingerprints or ((self.fingerprint,) if self.fingerprint else ())

    @property
    def has_ssh(self) -> bool:
        """Whether the node has a shell for us."""
        return bool(self.ssh_host)

    @property
    def has_root(self) -> bool:
        """Whether somebody is at hand who may set what PVE refuses to every token: root's shell, or a ticket of root@pam."""
        by_ticket = self.ticket is not None and self.ticket.user == "root@pam"
        return by_ticket or (self.has_ssh and self.ssh_user == "root")


@dataclasses.dataclass(frozen=True)
class NodeWish:
    """Everything wanted of one node. ``host`` maps a setting's key (``kernel_cmdline``, ``modules``, ``vfio_ids``, ``blacklist``)
    to its wanted items, without repeats, in the order of the documents."""

    name: str
    """Name of the Node document."""
    pve_node: str
    document: str
    cluster: str
    access: Access
    host: Mapping[str, tuple[Want, ...]]
    devices: Mapping[str, DeviceWish]
    guests: tuple[GuestWish, ...]
    policy: PolicyWish = PolicyWish()
    accept: tuple[str, ...] = ()
    """Ids of diagnoses that its user knows of and lives with."""
    recipes: tuple[str, ...] = ()
    """``name version`` of every recipe used, for the plan's hash."""
    simulate: Literal["quick", "full"] = "quick"
    """How far a change of what boots is tried aside first: ``full`` builds an initramfs too."""
    trial: Literal["off", "auto", "bootnext", "kexec"] = "off"
    """Whether a change is booted once before it is made: by the boot loader, else by the firmware, else (with ``kexec``) by
    kexec; with ``bootnext`` by the firmware alone."""
    confirm_within: int | None = None
    """Seconds from its start in which a boot after a change must be confirmed; None for those of the settings."""
