"""Emptying a node before its reboot and giving back afterwards, as actions: told, hashed and approved with their plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Drain:
    """Empty the node for its reboot: HA off it, guests moved or shut down, no start at boot for VMs whose device changes."""

    how: Literal["shutdown", "migrate"] = "shutdown"
    timeout: int = 180
    """Seconds that a guest may take to shut down before it is stopped; its own ``down=`` goes before."""
    running: tuple[int, ...] = ()
    """VMs that ran when it was planned; what runs then is what counts."""
    stay: tuple[int, ...] = ()
    """Of those, the ones that cannot move for their passed-through devices, and are shut down in any case."""
    onboot: tuple[int, ...] = ()
    """VMs that take an affected device and start at boot: not this time."""
    maintenance: bool = False
    """HA is active on the node."""
    pinned: tuple[str, ...] = ()
    """HA services that cannot move for their devices, and are asked to stop: ``vm:105``."""
    kind: Literal["drain"] = "drain"

    def describe(self) -> str:
        parts = ["put it into HA maintenance"] if self.maintenance else []
        if self.pinned:
            parts.append(f"stop {', '.join(self.pinned)} (devices passed through: cannot move)")
        moving = [vmid for vmid in self.running if vmid not in self.stay]
        if self.how == "migrate" and moving:
            parts.append(f"migrate {_vms(moving)}")
        staying = self.stay if self.how == "migrate" else self.running
        if staying:
            why = " (devices passed through: cannot move)" if self.how == "migrate" else ""
            parts.append(f"shut down {_vms(staying)}{why}")
        if self.onboot:
            parts.append(f"hold onboot of {_vms(self.onboot)} until the reboot is confirmed")
        return f"empty the node for the reboot: {'; '.join(parts) or 'nothing runs on it'}"

    def shell(self) -> tuple[str, ...]:
        lines = [f"ha-manager set {one} --state stopped" for one in self.pinned]
        if self.maintenance:
            lines.append('ha-manager crm-command node-maintenance enable "$(hostname)"')
        lines += [f"qm set {vmid} --onboot 0" for vmid in self.onboot]
        moving = [vmid for vmid in self.running if self.how == "migrate" and vmid not in self.stay]
        lines += [f'qm migrate {vmid} "$TARGET" --online  # TARGET: another node' for vmid in moving]
        down = [vmid for vmid in self.running if vmid not in moving]
        return (*lines, *(f"qm shutdown {vmid} --timeout {self.timeout} --forceStop 1" for vmid in reversed(down)))

    def undo_shell(self) -> tuple[str, ...]:
        return Undrain(self.running, self.onboot, self.maintenance, self.pinned).shell()


@dataclasses.dataclass(frozen=True)
class Undrain:
    """Give back what the node was emptied of: what ran runs again, HA and ``onboot`` are as they were."""

    running: tuple[int, ...] = ()
    onboot: tuple[int, ...] = ()
    maintenance: bool = False
    pinned: tuple[str, ...] = ()
    kind: Literal["undrain"] = "undrain"

    def describe(self) -> str:
        parts = [f"onboot of {_vms(self.onboot)}"] if self.onboot else []
        parts += [f"{_vms(self.running)} running"] if self.running else []
        parts += ["HA as it was"] if self.maintenance or self.pinned else []
        return f"give back what the node was emptied of: {'; '.join(parts) or 'nothing ran on it'}"

    def shell(self) -> tuple[str, ...]:
        lines = [f"qm set {vmid} --onboot 1" for vmid in self.onboot]
        if self.maintenance:
            lines.append('ha-manager crm-command node-maintenance disable "$(hostname)"')
        lines += [f"ha-manager set {one} --state started" for one in self.pinned]
        return (*lines, *(f"qm status {vmid} | grep -q running || qm start {vmid}" for vmid in self.running))

    def undo_shell(self) -> tuple[str, ...]:
        return ()


def _vms(ids: Sequence[int]) -> str:
    return f"VM{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}"
