"""The two sides of a node as the loop sees them: a shell over SSH, where there is one, and the PVE API, and what is outside.

Protocols, so that the loop runs alike on the adapters and on fakes with state.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Protocol

from transom import errors, model
from transom.guest import told
from transom.pve import tasks
from transom.spec import wish
from transom.ssh import pump


class Host(Protocol):
    """A root shell on the node."""

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed: ...
    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed: ...
    def close(self) -> None: ...


class NoShell:
    """Stands for the shell of a node to which SSH is not granted: whoever forgets to ask ``World.shell`` is refused."""

    def __init__(self, node: str) -> None:
        self._node = node

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        del stdin, timeout, read_only
        self._refuse(argv[0])

    def script(
        self, text: str, args: Sequence[str] = (), *, stdin: bytes = b"", timeout: float = 60, read_only: bool = False
    ) -> pump.Completed:
        del text, args, stdin, timeout, read_only
        self._refuse("a script")

    def close(self) -> None:
        pass

    def _refuse(self, what: str) -> NoReturn:
        raise errors.Denied(
            f"{what} cannot be run on {self._node}: its documents give no SSH", hint="add ssh to Node and Cluster"
        )


def has_shell(host: Host) -> bool:
    """Whether there is a shell behind ``host``."""
    return not isinstance(host, NoShell)


class Quorum(Protocol):
    """How the cluster stands."""

    @property
    def quorate(self) -> bool: ...


class Named(Protocol):
    """A node as the API lists it."""

    @property
    def name(self) -> str: ...


class Api(Protocol):
    """The PVE API, as a token with few rights sees it."""

    def version(self) -> str: ...
    def nodes(self) -> Sequence[Named]: ...
    def guests(self, node: str) -> Mapping[int, model.GuestState]: ...
    def storages(self, node: str) -> frozenset[str]: ...
    def images(self, node: str, storage: str) -> frozenset[str]: ...
    def cpus(self, node: str) -> int: ...
    def pci(self, node: str) -> tuple[model.PciDevice, ...]: ...
    def packages(self, node: str) -> dict[str, str]: ...
    def kernel(self, node: str) -> str: ...
    def mappings(self, node: str) -> Mapping[str, model.PciMapping]: ...
    def set_mapping(self, name: str, entries: Sequence[str], *, digest: str) -> None: ...
    def everywhere(self) -> tuple[model.ClusterGuest, ...]: ...
    def status(self, node: str, vmid: int) -> model.GuestState: ...
    def pending(self, node: str, vmid: int) -> tuple[Sequence[told.Row], str]: ...
    def cluster_status(self) -> Quorum: ...
    def nextid(self) -> int: ...
    def create(self, node: str, vmid: int, values: Mapping[str, str]) -> str: ...
    def update(
        self,
        node: str,
        vmid: int,
        *,
        digest: str,
        values: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        revert: Sequence[str] = (),
    ) -> None: ...
    def reboot(self, node: str, vmid: int) -> str: ...
    def start(self, node: str, vmid: int) -> str: ...
    def destroy(self, node: str, vmid: int) -> str: ...
    def task_ids(self, node: str, vmid: int) -> Sequence[str]: ...
    def follow(
        self,
        upid: str,
        *,
        timeout: float,
        sleep: Callable[[float], None],
        now: Callable[[], float],
        on_log: Callable[[str], None] | None = None,
    ) -> tasks.Task: ...
    def close(self) -> None: ...


def no_library(rom: wish.RomWish) -> model.RomResult:
    """Where nobody builds."""
    return model.RomResult("building", reason=f"{rom.document} is to be built, and there is no library to look in")


@dataclasses.dataclass(frozen=True)
class AskedOf:
    """What the answers about a running QEMU hang on."""

    pid: int
    since: int
    written: int
    digest: str
    versions: str


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a running QEMU was started with and would be now, and of what that was said."""

    of: AskedOf
    answer: model.Started


@dataclasses.dataclass
class World:
    """One node within reach. ``connect`` opens a new shell, for after a reboot; ``say`` reports progress, one line each."""

    node: str
    """PVE's name of the node."""
    host: Host
    api: Api
    connect: Callable[[], Host]
    now: Callable[[], float]
    """Seconds since the epoch."""
    sleep: Callable[[float], None]
    nonce: Callable[[], str]
    say: Callable[[str], None]
    read: Callable[[str], bytes]
    """Reads a file on this side (a ROM's bytes)."""
    reboot_limit: float = 900
    """Seconds that a node may take to come back."""
    confirm_within: float = 600
    """Seconds from its start in which a boot must be confirmed, or the node goes back by itself."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds for limits, with ``sleep``'s clock; never set back."""
    root: Api | None = None
    """The API as root@pam, for what PVE refuses to every token; None where no ticket of root's is at hand."""
    built: Callable[[wish.RomWish], model.RomResult] = no_library
    """What became of a ROM that is to be built; asked at each look, and answers at once."""
    started: dict[int, Asked] = dataclasses.field(default_factory=dict)
    """VM id → what was read of its QEMU at an earlier look; kept from one turn of the node to the next."""

    @property
    def shell(self) -> bool:
        """Whether the node has a shell; without one the API alone is read and written."""
        return has_shell(self.host)
