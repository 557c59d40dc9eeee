"""The two sides of a node as the loop sees them: a shell over SSH and the PVE API, and the few things that come from outside.

Protocols, so that the loop runs alike on the adapters and on fakes with state.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from transom import model
from transom.pve import tasks
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


class Quorum(Protocol):
    """How the cluster stands."""

    @property
    def quorate(self) -> bool: ...


class Api(Protocol):
    """The PVE API, as a token with few rights sees it."""

    def version(self) -> str: ...
    def guests(self, node: str) -> Mapping[int, model.GuestState]: ...
    def storages(self, node: str) -> frozenset[str]: ...
    def cluster_status(self) -> Quorum: ...
    def nextid(self) -> int: ...
    def create(self, node: str, vmid: int, values: Mapping[str, str]) -> str: ...
    def update(
        self, node: str, vmid: int, *, digest: str, values: Mapping[str, str] | None = None, delete: Sequence[str] = ()
    ) -> None: ...
    def reboot(self, node: str, vmid: int) -> str: ...
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
    monotonic: Callable[[], float] = time.monotonic
    """Seconds for limits, with ``sleep``'s clock; never set back."""
