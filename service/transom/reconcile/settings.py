"""How often and how patiently the daemon works. Values only; ``daemon`` reads them from files."""

from __future__ import annotations

import dataclasses

from transom.spec import fields


@dataclasses.dataclass(frozen=True)
class Settings:
    """Times in seconds."""

    scan_every: float = 300
    """Between two looks at a node."""
    scan_jitter: float = 60
    """So that nodes are not looked at all at once: half of it sooner or later."""
    settle: float = 30
    """What newly differs waits at most this long, unless asked for, until the other nodes have been looked at too."""
    lease_lasts: float = 900
    """A lease that was renewed within this time is held by somebody who is at work."""
    stop_within: float = 60
    """How long runs under way may take to finish when the daemon stops."""
    confirm_within: float = 600
    """From a node's start after a change of ours; unless the boot is confirmed by then, the node goes back by itself."""
    ssh_timeout: float = 15
    """What a node that has taken a connection may take for each part of its opening, and for starting a command."""
    workers: int = 256
    """Runs at once; below the number of nodes, as many hanging nodes delay the others."""
    keep_events: int = 10_000
    """Events that a reader who comes late still gets."""
    rom_workers: int = 2
    """Option ROMs that are fetched and built at once."""
    rom_upload: int = 64 * 2**20
    """Bytes of one BIOS file that is handed in or fetched, at most."""
    rom_inputs: int = 2 * 2**30
    """Bytes of all BIOS files and drivers that are kept, at most."""

    def __post_init__(self) -> None:
        for name in (
            "scan_every",
            "lease_lasts",
            "ssh_timeout",
            "workers",
            "keep_events",
            "rom_workers",
            "rom_upload",
            "rom_inputs",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0: {getattr(self, name):g}")
        for name in ("scan_jitter", "settle", "stop_within"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be less than 0: {getattr(self, name):g}")
        if not fields.LEAST_CONFIRM <= self.confirm_within <= 86400:
            said = f"confirm_within must be from {fields.LEAST_CONFIRM} to 86400 seconds: {self.confirm_within:g}"
            raise ValueError(f"{said}; a node that is not confirmed by then, though all is well, goes back")
        if self.scan_jitter > self.scan_every:
            raise ValueError(f"scan_jitter must not be above scan_every: {self.scan_jitter:g}, {self.scan_every:g}")
