"""What was read of a node, a field for each source; Unknown where it could not be read."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping
from typing import Annotated

import pydantic

from transom.model.oneshot import Firmware, OneShot
from transom.model.words import Maybe, Step, Unknown


@dataclasses.dataclass(frozen=True)
class HostFile:
    """One regular file. ``text`` is Unknown when its bytes are not UTF-8 or changed while they were read."""

    path: str
    text: Maybe[str]
    sha256: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0


@dataclasses.dataclass(frozen=True)
class Absent:
    """The path was looked for and is not there."""

    absent: bool = True
    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")


@dataclasses.dataclass(frozen=True)
class PciDevice:
    """One PCI function from sysfs. Ids are four lower-case hex digits; ``class_code`` six; address has the domain."""

    address: str
    vendor: str
    device: str
    class_code: str
    subsystem: str = ""
    """``vvvv:dddd`` of the subsystem, empty when the device has none."""
    revision: str = ""
    driver: Maybe[str] = ""
    """The bound driver, empty when none; the PVE API does not tell it."""
    iommu_group: int | None = None
    boot_vga: bool | None = None
    module: str = ""
    """Of the driver, as the kernel names it; empty where there is none, or none was read."""

    @property
    def driver_module(self) -> str:
        """The module that the driver comes with (``xhci_pci`` of xhci_hcd); empty without a driver that is known."""
        return self.module or ("" if isinstance(self.driver, Unknown) else self.driver.replace("-", "_"))

    @property
    def id(self) -> str:
        """``vendor:device``, as in ``8086:9bc8``."""
        return f"{self.vendor}:{self.device}"

    @property
    def driver_name(self) -> str:
        """To be shown: ``?`` for one that could not be read."""
        return "?" if isinstance(self.driver, Unknown) else self.driver


@dataclasses.dataclass(frozen=True)
class LoadedModule:
    """One of ``/proc/modules``. ``uses``: by other modules (``users``, with underscores), and by what is mounted, open, running."""

    uses: int
    users: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class LoaderSign:
    """One thing that tells which boot loader started the running kernel. ``loader``: ``grub``, ``systemd-boot``, or what it calls
    itself."""

    source: str
    says: str
    loader: str


@dataclasses.dataclass(frozen=True)
class Esp:
    """One partition that the firmware boots from. ``name`` is its UUID in proxmox-boot-tool's list, or where it is mounted."""

    name: str
    files: Maybe[dict[str, str]]
    """Path on it → text, of ``loader/loader.conf``, ``loader/entries/*.conf`` and ``grub/grub.cfg``."""
    mtime_ns: int = 0
    """Of the newest of them."""


@dataclasses.dataclass(frozen=True)
class Boot:
    """How this boot came about. ``loader`` is ``grub``, ``systemd-boot`` or Unknown; ``time_ns`` is when the kernel started."""

    boot_id: Maybe[str]
    kernel: Maybe[str]
    cmdline: Maybe[tuple[str, ...]]
    loader: Maybe[str]
    efi: Maybe[bool]
    time_ns: Maybe[int]
    manager: Maybe[str] = "grub-mkconfig"
    """What writes the loader's configuration: ``grub-mkconfig``, ``proxmox-boot-tool`` or ``kernel-install``."""
    signs: tuple[LoaderSign, ...] = ()
    """What ``loader`` was told by."""


@dataclasses.dataclass(frozen=True)
class Hardware:
    """From DMI and ACPI: what a person would look for at the vendor's site, and whether VT-d is on."""

    board: Maybe[str] = Unknown("not read")
    bios: Maybe[str] = Unknown("not read")
    cpu: Maybe[str] = Unknown("not read")
    dmar: Maybe[bool] = Unknown("not read")
    """Whether the firmware gave an ACPI DMAR table (VT-d is on)."""


@dataclasses.dataclass(frozen=True)
class GuestFile:
    """One ``qemu-server/N.conf``: its bytes as text and their SHA-1, which is the API's digest.

    Where only the API is at hand, ``text`` is what it tells of the file, written as qemu-server writes it (no snapshots, no lines
    that qemu-server cannot parse), and ``digest`` still that of the file itself.
    """

    vmid: int
    text: Maybe[str]
    digest: str


@dataclasses.dataclass(frozen=True)
class GuestState:
    """What the PVE API says of a VM now. ``status`` is ``running`` or ``stopped``; ``lock`` is empty when free."""

    vmid: int
    status: str
    lock: str = ""
    qemu: str = ""
    """Version of the running QEMU, empty when stopped or not told."""


@dataclasses.dataclass(frozen=True)
class ClusterGuest:
    """A VM or container somewhere in the cluster. ``ha`` is the state that HA keeps it in, empty when HA does not."""

    vmid: int
    node: str
    ha: str = ""


@dataclasses.dataclass(frozen=True)
class Vital:
    """Something that the host lives by, and the PCI functions that it hangs on, the bridges on the way included."""

    what: str
    addresses: tuple[str, ...]
    source: str
    says: str
    idle: bool = False
    """It is known that the host does not use it now, nor has it among its storages: a pool that is not imported."""


@dataclasses.dataclass(frozen=True)
class Votes:
    """Of corosync: votes present now, those needed for quorum, those of this node."""

    total: int
    quorum: int
    own: int


@dataclasses.dataclass(frozen=True)
class Space:
    """Free bytes where boot images are written, and the size of the largest one."""

    path: str
    free: int
    image: int


@dataclasses.dataclass(frozen=True)
class Standing:
    """What on a host may stand against changing it or rebooting it."""

    disks: Maybe[tuple[Vital, ...]] = Unknown("not read")
    links: Maybe[tuple[Vital, ...]] = Unknown("not read")
    """The interface towards Transom, and those of corosync."""
    containers: Maybe[dict[int, Maybe[str]]] = Unknown("not read")
    """Id → configuration."""
    votes: Maybe[Votes | None] = Unknown("not read")
    """None: in no cluster."""
    ha: Maybe[tuple[str, ...]] = Unknown("not read")
    """HA services that are active here."""
    jobs: Maybe[tuple[str, ...]] = Unknown("not read")
    """Backups, migrations and replications that run."""
    dpkg: Maybe[tuple[str, ...]] = Unknown("not read")
    """What the package system has not finished."""
    space: Maybe[tuple[Space, ...]] = Unknown("not read")
    drm: Maybe[dict[str, str]] = Unknown("not read")
    """Node of ``/dev/dri`` (``renderD128``) → address of its PCI function."""


@dataclasses.dataclass(frozen=True)
class PciMapping:
    """A resource mapping of the cluster. ``entries``: all nodes', as PVE has them (``node=pve1,path=…,id=8086:9bc8``)."""

    name: str
    entries: tuple[str, ...]
    digest: str
    """Of the file with all mappings."""
    checks: tuple[str, ...] = ()
    """What PVE finds wrong with it on this node."""


@dataclasses.dataclass(frozen=True)
class Armed:
    """A node that goes back by itself unless its next boot is confirmed."""

    run: str
    boot_id: str
    """Of the boot in which it was armed, and in which nothing happens yet."""
    within: int
    """Seconds from the next boot's start."""


@dataclasses.dataclass(frozen=True)
class RolledBack:
    """A node that went back by itself, until a person has seen it."""

    run: str
    at: int
    """Seconds since the epoch, by the node's clock."""
    boot_id: str
    """Of the boot that was not confirmed."""
    reason: str
    problems: tuple[str, ...] = ()
    """What could not be brought back."""
    log: tuple[str, ...] = ()
    """The end of that boot's journal."""


@dataclasses.dataclass(frozen=True)
class Keeping:
    """What Transom left on the node about itself (``/var/lib/transom``)."""

    dirty: tuple[Step, ...] = ()
    """Steps that a change made necessary and that have not run yet."""
    reboot_from: str = ""
    """Boot id under which a change was made that only a reboot brings into effect (``/var/lib/transom/reboot-from``)."""
    ledger_sha256: str = ""
    trial: bool = False
    """It runs a trial boot, which goes back by itself unless it is confirmed."""
    armed: Armed | None = None
    rolled_back: RolledBack | None = None
    unarmed: tuple[str, ...] = ()
    """Runs that were cut off between keeping what boots and arming the node: nothing has been changed by them."""


@dataclasses.dataclass(frozen=True)
class Started:
    """A running QEMU. Times in nanoseconds since the epoch, by the node's clock."""

    pid: int
    since: int
    written: int
    """When its configuration or a mapping was last written: a start after that reads something else."""
    argv: Maybe[tuple[str, ...]] = Unknown("not asked")
    """What it was started with."""
    wanted: Maybe[tuple[str, ...]] = Unknown("not asked")
    """What PVE would start it with now (``qm showcmd``)."""


@dataclasses.dataclass(frozen=True)
class Supplies:
    """What a VM may be given of the host beside PCI devices."""

    cpus: int
    """As PVE counts them: the processors of ``/proc/cpuinfo``."""
    hugepages: Maybe[frozenset[int]] = Unknown("not read")
    """Sizes in MiB that the kernel has."""
    ports: Maybe[frozenset[str]] = Unknown("not read")
    """Serial and parallel ports: character devices under ``/dev``."""


@dataclasses.dataclass(frozen=True)
class HeldStart:
    """A VM whose ``onboot`` was taken away for a reboot. SHA-256 of its configuration before and since."""

    before: str
    held: str


@dataclasses.dataclass(frozen=True)
class Drained:
    """What a node was emptied of for a reboot, and so gets back (``/var/lib/transom/drained.json``). Guests are ``qemu/112``,
    ``lxc/104``, in the order in which PVE would start them; HA services ``vm:105``."""

    run: str
    boot_id: str
    """Of the boot that was to end."""
    ran: tuple[str, ...] = ()
    """Guests that ran, those that moved among them."""
    moved: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Guest → the node that it went to."""
    onboot: Mapping[int, HeldStart] = dataclasses.field(default_factory=dict)
    maintenance: bool = False
    """HA was told that the node is in maintenance."""
    services: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """HA service that was asked to stop → the state that was asked for before."""
    tries: int = 0
    """How often giving it back has been tried without coming to its end."""
    said: tuple[str, ...] = ()
    """Why, the last time."""

    @property
    def owes(self) -> bool:
        """Whether there is anything to give back."""
        return bool(self.ran or self.moved or self.onboot or self.maintenance or self.services)


@dataclasses.dataclass(frozen=True)
class RomResult:
    """What became of building a ROM on Transom's own side: ``state`` is built, building or failed."""

    state: str
    sha256: str = ""
    path: str = ""
    """Where the finished file lies; both are empty unless it is built."""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class LeftStopped:
    """A VM that is off since we restarted it in ``run``, and that nobody has stopped or started since."""

    run: str
    says: Maybe[str] = ""
    """What the last try to start it says; empty when none was seen."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Everything observed of one node at one time. What is missing here was not asked for; what failed is Unknown."""

    node: str
    boot: Boot
    files: Mapping[str, Annotated[Unknown | Absent | HostFile, pydantic.Field(union_mode="left_to_right")]]
    covered: tuple[str, ...] = ()
    """Patterns that were listed completely: a matching path that is not in ``files`` is absent."""
    modules: Maybe[frozenset[str]] = Unknown("not read")
    """Loaded or built in, with underscores."""
    loaded: Maybe[dict[str, LoadedModule]] = Unknown("not read")
    """Those of ``modules`` that are not built in."""
    module_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """``vfio_pci.disable_vga`` → ``N``, from ``/sys/module/*/parameters``."""
    pci: Maybe[tuple[PciDevice, ...]] = Unknown("not read")
    packages: Maybe[dict[str, str]] = Unknown("not read")
    hardware: Hardware = Hardware()
    guests: Maybe[dict[int, GuestFile]] = Unknown("not read")
    api: Maybe[bool] = True
    """Unknown, with the reason, when the PVE API could not be asked; what only it knows is Unknown then too."""
    states: Maybe[dict[int, GuestState]] = Unknown("not read")
    """From the API; VMs without a state here are not on this node."""
    elsewhere: Maybe[dict[int, str]] = dataclasses.field(default_factory=dict)
    """VM id → node, for the VMs of the cluster's other nodes."""
    ha: Maybe[dict[int, str]] = Unknown("not read")
    """VM id → the state that HA keeps it in, for the VMs that HA manages."""
    quorate: Maybe[bool] = Unknown("not read")
    lacks: tuple[str, ...] = ()
    """Rights that the API user lacks to see what every plan rests on, such as ``Sys.Audit on /``."""
    roms: Maybe[dict[str, str]] = Unknown("not read")
    """File name under ``/usr/share/kvm`` → sha256, for the names that documents and VMs mention."""
    rom_sources: dict[str, Maybe[str]] = dataclasses.field(default_factory=dict)
    """ROM file on Transom's own side → sha256, for the files that documents name; Unknown when it cannot be read."""
    rom_builds: dict[str, RomResult] = dataclasses.field(default_factory=dict)
    """Name of a Rom document that is to be built → what became of it."""
    rom_users: Maybe[dict[str, tuple[int, ...]]] = Unknown("not read")
    """File name under ``/usr/share/kvm`` → the VMs whose running QEMU was started with it."""
    started: Maybe[dict[int, Started]] = Unknown("not read")
    """VM id → its running QEMU, with both command lines for VMs that documents declare. Needs a shell."""
    undo_needs: dict[str, str] = dataclasses.field(default_factory=dict)
    """File name under ``/usr/share/kvm`` → the run whose undo would give it to a VM again."""
    left_stopped: dict[int, LeftStopped] = dataclasses.field(default_factory=dict)
    """VM id → how a restart of ours left it off."""
    usb: Maybe[frozenset[str]] = Unknown("not read")
    """``vendor:product`` of every USB device present."""
    storages: Maybe[frozenset[str]] = Unknown("not read")
    images: dict[str, Maybe[frozenset[str]]] = dataclasses.field(default_factory=dict)
    """Storage → its ISO images, for the storages from which documents name one: ``local:iso/virtio-win.iso``."""
    supplies: Maybe[Supplies] = Unknown("not read")
    interfaces: Maybe[frozenset[str]] = Unknown("not read")
    """Names of the network interfaces that are there, bridges among them."""
    mappings: Maybe[dict[str, PciMapping]] = Unknown("not read")
    """PCI mappings of the cluster by name, those that the API user may see. Unknown before PVE 8.0, which has none."""
    iomem: Maybe[str] = Unknown("not read")
    """``/proc/iomem``: who holds a device's memory."""
    esps: Maybe[tuple[Esp, ...]] = Unknown("not read")
    """The partitions that proxmox-boot-tool or kernel-install writes to; empty where neither does."""
    standing: Standing = Standing()
    here: Maybe[bool] = False
    """Whether Transom itself runs on this node: under the very same kernel, in a container too."""
    sysctl: Maybe[dict[str, str]] = Unknown("not read")
    """Key with dots → value in ``/proc/sys``, for the keys of our own file."""
    sysctl_set: dict[str, str] = dataclasses.field(default_factory=dict)
    """Item of our own file that was set since the boot → what ``/proc/sys`` showed right after."""
    keeping: Maybe[Keeping] = Unknown("not read")
    drained: Maybe[Drained | None] = None
    """What the node is still owed from a reboot that it was emptied for."""
    oneshot: Maybe[OneShot] = Unknown("not read")
    firmware: Maybe[Firmware | None] = Unknown("not read")
    """None: this node did not boot by UEFI."""
    identity: Maybe[str] = ""
    """Which PVE node the shell is on; empty when that was not asked."""

    def file(self, path: str) -> HostFile | Absent | Unknown:
        """The file at ``path``; Absent only when it was really looked for."""
        if path in self.files:
            return self.files[path]
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in self.covered):
            return Absent()
        return Unknown(f"{path} was not looked at")

    def device(self, address: str) -> PciDevice | Unknown | None:
        """The PCI function at ``address`` (with domain); None when there is none."""
        if isinstance(self.pci, Unknown):
            return self.pci
        return next((dev for dev in self.pci if dev.address == address), None)
