"""One machine of the fleet over time: off, booting, up; what reboots it and what keeps it down.

A thread of its own starts the container, since the container ends with the thread that started it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from transom import errors, model
from transom.lab import boot, container, kernelfs, keys, machine, sysctl, world

READY = 30.0
"""Seconds that a boot may take on a busy machine."""
API_LATER = 0.7
"""Seconds by which the API comes up after sshd when the machine has rebooted, as on a real node."""


PANIC = 1.0
"""Seconds after which a kernel that panicked reboots; it is told ``panic=30``."""
PLAIN_BOOT = "plain-boot"
"""File of the control folder: /boot lies on a plain partition, where GRUB can write."""


@dataclasses.dataclass(frozen=True)
class Fixed:
    """What a node keeps for its life."""

    hardware: world.LabNode
    ssh_port: int
    api_port: int


class Api(Protocol):
    """The machine's API while it is up."""

    fingerprint: str

    def start_guests(self) -> None: ...
    def close(self) -> None: ...


Serve = Callable[["Node"], Api]


class Node:
    """A machine with its private root. All methods may be called from any thread."""

    def __init__(self, folder: Path, fixed: Fixed, *, usr: Path, client_key: str, serve: Serve) -> None:
        self.place = container.Place(folder)
        self._serve = serve
        self._api: Api | None = None
        self._fixed = fixed
        self._usr = usr
        self._changed = threading.Condition()
        self._api_lock = threading.Lock()
        self._wanted_on = False
        self._closed = False
        self._state = "off"
        self._boots = 0
        self._fingerprint = ""
        self._box: container.Container | None = None
        self._thread = threading.Thread(target=self._live, name=f"lab-{fixed.hardware.name}", daemon=True)
        self._prepare(client_key)

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The node's name."""
        return self._fixed.hardware.name

    @property
    def hardware(self) -> world.LabNode:
        """The machine as it stands; boot uses it."""
        return self._fixed.hardware

    @property
    def root(self) -> Path:
        """The private root folder: real files, seen by the node as ``/``."""
        return self.place.root

    @property
    def ssh_port(self) -> int:
        """Port of sshd on 127.0.0.1; the same after every boot."""
        return self._fixed.ssh_port

    @property
    def api_port(self) -> int:
        """Port of the API on 127.0.0.1."""
        return self._fixed.api_port

    @property
    def host_key(self) -> str:
        """The host's public key, ``ssh-ed25519 AAAA…``."""
        return keys.ensure(self.place.lab / "ssh/host_key", f"root@{self.name}")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the API's certificate, upper-case hex with colons; empty until the machine was up once."""
        return self._fingerprint

    @property
    def state(self) -> str:
        """``off``, ``booting``, ``up``, or ``failed: …`` with what stands on the screen."""
        return self._state

    @property
    def boots(self) -> int:
        """How often this machine has come up since the lab started."""
        return self._boots

    # --- what can be done to it --------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Starts the machine and waits until SSH answers; Unreachable with the screen's text when it does not boot."""
        self.switch_on()
        self._await(lambda: self._state == "up" or self._state.startswith("failed"))
        if self._state != "up":
            raise errors.Unreachable(f"lab node {self.name} {self._state}")

    def switch_on(self) -> None:
        """Starts the machine and does not wait for it."""
        with self._changed:
            self._wanted_on = True
            if self._state.startswith("failed") and self._thread.is_alive():
                self._state = "off"
            self._changed.notify_all()
        if self._thread.ident is None:
            self._thread.start()

    def power_cut(self) -> None:
        """Takes the power away and leaves the machine off; only what was on disk stays."""
        with self._changed:
            self._wanted_on = False
            box = self._box
        if box:
            box.kill()
        self._await(lambda: self._state != "up" and self._state != "booting")

    def reboot(self) -> None:
        """Reboots the machine and waits until SSH answers again."""
        before = self._boots
        with self._changed:
            self._wanted_on = True
            box = self._box
        if box is None:
            self.power_on()
            return
        box.kill()
        self._await(lambda: self._boots > before or self._state.startswith("failed"))
        if self._state != "up":
            raise errors.Unreachable(f"lab node {self.name} {self._state}")

    def wait_boot(self, after: int, timeout: float = READY) -> None:
        """Waits until the machine has come up more than ``after`` times (see ``boots``)."""
        self._await(lambda: self._boots > after and self._state == "up", timeout)

    def change(self, how: Callable[[world.LabNode], world.LabNode]) -> None:
        """Changes the hardware, firmware switches or packages; a running machine notices at its next boot."""
        with self._changed:
            self._fixed = dataclasses.replace(self._fixed, hardware=how(self._fixed.hardware))
            save(self.place.folder, self._fixed)

    def restart_api(self) -> None:
        """Starts the API, again when it runs: it tells the versions of the packages that are installed now."""
        self._stop_api()
        with self._api_lock:
            self._api = self._serve(self)
            self._fingerprint = self._api.fingerprint

    def _stop_api(self) -> None:
        with self._api_lock:
            if self._api:
                self._api.close()
            self._api = None

    def close(self) -> None:
        """Powers off for good and ends the thread."""
        with self._changed:
            self._closed = True
            self._wanted_on = False
            box = self._box
            self._changed.notify_all()
        if box:
            box.kill()
        if self._thread.is_alive():
            self._thread.join()

    # --- how it lives ------------------------------------------------------------------------------------------------

    def _prepare(self, client_key: str) -> None:
        self.place.folder.mkdir(parents=True, exist_ok=True)
        (self.place.folder / "vfio").mkdir(exist_ok=True)
        container.write_config(self.place, port=self.ssh_port)
        keys.ensure(self.place.lab / "ssh/host_key", f"root@{self.name}")
        if not self.root.exists():
            machine.lay_out(self.root, self.hardware, now=time.time())
            authorized = self.root / "root/.ssh/authorized_keys"
            authorized.write_text(f"{client_key} transom\n")
            authorized.chmod(0o600)
        save(self.place.folder, self._fixed)

    def _await(self, condition: Callable[[], bool], timeout: float = READY) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise errors.Unreachable(f"lab node {self.name} is still {self._state} after {timeout:.0f} s")

    def _become(self, state: str, box: container.Container | None = None) -> None:
        with self._changed:
            self._state = state
            self._box = box
            self._boots += state == "up"
            self._changed.notify_all()

    def _live(self) -> None:
        try:
            btime = int(time.time()) - 60
            while self._switched_on():
                self._one_boot(btime)
                # a whole second after the shutdown, so that every file written before it is older than the new boot
                btime = int(time.time()) + 1
        finally:
            if not self._closed:  # a fault of the lab itself: nobody shall wait for this node
                self._become("failed: the lab's own thread has ended")

    def _switched_on(self) -> bool:
        """Waits until the machine shall run; False when the lab is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._wanted_on and self._state == "off"))
            return not self._closed

    def _one_boot(self, btime: int) -> None:
        """From power on to power off."""
        self._become("booting")
        try:
            box = self._boot(btime)
        except (boot.BootFailed, errors.Unreachable) as error:
            restarts = isinstance(error, boot.BootFailed) and error.restarts
            self._pause(PANIC if restarts else 0)
            self._become("off" if restarts else f"failed: {error}")
            return
        try:
            if self._boots:  # nobody sees the first boot: the lab itself waits for it
                self._pause(API_LATER)
            self.restart_api()
            self._become("up", box)
            with self._api_lock:
                if self._api:
                    self._api.start_guests()
            if self._closed or not self._wanted_on:  # while it was booting
                box.kill()
            box.wait()
        finally:
            box.kill()
            self._stop_api()
        if self._asked() == "poweroff":
            self._wanted_on = False
        self._become("off")

    def _pause(self, seconds: float) -> None:
        """Shorter when the power goes away meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._wanted_on, seconds)

    def _asked(self) -> str:
        request = self.place.control / "request"
        with contextlib.suppress(FileNotFoundError):
            return request.read_text().strip()
        return ""

    def _boot(self, btime: int) -> container.Container:
        machine.power_off(self.root)
        try:
            once = machine.take_once(self.root, clear=(self.place.control / PLAIN_BOOT).exists())
            booted = boot.boot(self.hardware, dataclasses.replace(machine.read_disk(self.root), once=once))
        except boot.BootFailed as error:
            with (self.place.folder / "console.log").open("a") as console:
                console.write(f"{error}\n")
            raise
        time.sleep(max(0.0, btime - time.time()))
        over = self._show(booted, btime)
        box = container.Container(container.argv(self.place, self._usr, self.name, over), self.place)
        try:
            box.wait_ready(READY)
            _wait_port(self.ssh_port, box, self.place.lab / "sshd.log")
        except errors.Unreachable:
            box.kill()
            raise
        return box

    def _show(self, booted: boot.Booted, btime: int) -> list[str]:
        """Writes what this boot shows and returns the paths to be bound over ``/proc``."""
        kernelfs.write_sys(self.root / "sys", self.hardware, booted)
        kernelfs.write_vfio(self.place.folder / "vfio", booted)
        # the node itself appends it to its /var/log/syslog: a link that somebody put there must not lead out of the root
        when = time.strftime("%b %d %H:%M:%S", time.localtime(btime))
        (self.place.control / "journal").write_text("".join(f"{when} {line}\n" for line in booted.journal))
        texts = kernelfs.proc_files(self.hardware, booted, boot_id=str(uuid.uuid4()), btime=btime)
        return container.write_proc(self.place, {**texts, **sysctl.booted(self.root)})


def _wait_port(port: int, box: container.Container, log: Path) -> None:
    """Until sshd says who it is."""
    end = time.monotonic() + READY
    while box.running and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            if line.recv(4) == b"SSH-":
                return
        time.sleep(0.01)
    raise errors.Unreachable(f"sshd of the lab node does not answer on port {port}", hint=f"see {log}")


def save(folder: Path, fixed: Fixed) -> None:
    """Keeps what a node keeps, for the next start of the lab."""
    (folder / "node.json").write_text(json.dumps(model.to_json(fixed), indent=1))


def load(folder: Path) -> Fixed:
    """What ``save`` kept."""
    return model.from_json(Fixed, json.loads((folder / "node.json").read_text()))
