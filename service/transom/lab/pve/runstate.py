"""Which VMs run: one file a VM below run/qemu-server, gone with the reboot of the node.

The file holds the configuration and the command line at start, so everybody sees whether the running machine is the
configured one.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from transom.lab import container
from transom.lab.pve import files


@dataclass(frozen=True)
class Running:
    pid: int
    started: float
    qemu: str
    machine: str
    config: dict[str, str] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    paused: bool = False

    @property
    def uptime(self) -> int:
        return max(1, int(time.time() - self.started))


def path(place: files.NodeFiles, vmid: int) -> Path:
    return place.run / f"{vmid}.json"


def read(place: files.NodeFiles, vmid: int) -> Running | None:
    """None when the VM does not run."""
    raw = files.read_json(path(place, vmid))
    if not raw:
        return None
    config, argv = raw["config"], raw["argv"]
    return Running(
        pid=int(str(raw["pid"])),
        started=float(str(raw["started"])),
        qemu=str(raw["qemu"]),
        machine=str(raw["machine"]),
        config={key: str(value) for key, value in config.items()} if isinstance(config, dict) else {},
        argv=tuple(argv) if isinstance(argv, list) else (),
        paused=bool(raw["paused"]),
    )


def write(place: files.NodeFiles, vmid: int, state: Running) -> None:
    files.write_json(path(place, vmid), asdict(state))
    pidfile, pid = place.run / f"{vmid}.pid", f"{state.pid}\n".encode()
    if pidfile.exists() and pidfile.read_bytes() == pid:
        return  # paused or resumed: QEMU writes it once
    argv = ("/usr/bin/kvm", "-id", str(vmid), *state.argv)
    files.write(_process(place, state.pid) / "cmdline", b"".join(word.encode() + b"\0" for word in argv))
    files.write(pidfile, pid)


def remove(place: files.NodeFiles, vmid: int) -> bool:
    """True when it ran."""
    state = read(place, vmid)
    if state is not None:
        shutil.rmtree(_process(place, state.pid), ignore_errors=True)
    for gone in (path(place, vmid), place.run / f"{vmid}.pid"):
        gone.unlink(missing_ok=True)
    return state is not None


def _process(place: files.NodeFiles, pid: int) -> Path:
    """Where the node's ``/proc/PID`` leads (``lab.container``)."""
    return place.path(f"{container.QEMUS}/{pid}")


def new_pid(place: files.NodeFiles) -> int:
    """Of those that the node's ``/proc`` has a link for; they come again after a hundred starts."""
    pids = container.QEMU_PIDS
    return pids[files.count(place.path("run/pve-pid"), -1) % len(pids)]
