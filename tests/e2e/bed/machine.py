"""One machine: QEMU on a disk of its own, started again by a thread whenever the guest reboots, reached by real SSH.

A reset inside one QEMU process takes minutes under emulation, a new process 25 s: so ``-no-reboot``, and QEMU's own last event
tells a reboot from a power-off. Nothing outlives the test process: QEMU dies with it (prctl in a ``setpriv`` parent).
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import random
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

from bed import keys, power, qmp

SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes")
COLD = 400
"""Seconds that a cold start may take: idle it is 24, on a busy machine ten times that."""


@dataclasses.dataclass(frozen=True)
class Firmware:
    """What stands before the disk: nothing for a BIOS, code and the machine's own variables for UEFI."""

    code: pathlib.Path
    variables: pathlib.Path


class Machine:
    """``folder`` has the machine's files: ``disk.qcow2``, ``serial``, ``qmp``. ``port`` is where its SSH answers on loopback.

    With ``dice`` the disk has a write cache that a power cut empties (see ``power``); they say what of it got through.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        key: keys.Keys,
        firmware: Firmware | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self.folder, self.key, self.firmware = folder, key, firmware
        self.cache = power.WriteCache(folder, dice) if dice else None
        self.port = _free_port()
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: qmp.Qmp | None = None
        self._keeper: threading.Thread | None = None
        self._wanted = False

    # --- Power ----------------------------------------------------------------------------------------------------

    def power_on(self, state: pathlib.Path | None = None) -> None:
        """Starts cold, or goes on from a saved state (of the same disk); then guest reboots are followed."""
        self._wanted = True
        self._start(state)
        self._keeper = threading.Thread(target=self._follow, daemon=True)
        self._keeper.start()

    def fill_cache(self, within: float) -> bool:
        """Before a power cut: no flush of the guest ends from now on, so that its disk's write cache fills; False when the guest
        has written nothing in that many seconds."""
        assert self.cache
        end = time.monotonic() + within
        while time.monotonic() < end:
            with contextlib.suppress(OSError, EOFError, RuntimeError, ValueError):  # it may just be rebooting
                if self._qmp:
                    self._qmp.ask("human-monitor-command", **{"command-line": 'qemu-io d0 "break flush_to_os held"'})
            time.sleep(0.2)
            if self.cache.holds:
                return True
        return False

    def power_cut(self) -> str:
        """Ends QEMU at once, as if the mains had gone; what the guest had not written is lost, with ``dice`` also what it had not
        flushed: what that came to, in words."""
        self._wanted = False
        self._kill()
        if self._keeper:
            self._keeper.join()
        self._kill()  # one that the keeper was just starting
        lost = self.cache.lose() if self.cache and self._process else ""
        self._keeper = self._process = self._qmp = None
        return lost

    def _kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def power_off(self, within: float = COLD) -> None:
        """An ordinary shutdown from inside, to its end."""
        self._wanted = False
        self.ssh('setsid -f sh -c "sleep 0.3; systemctl poweroff" >/dev/null 2>&1 </dev/null')
        self._ended(within)

    def save(self, state: pathlib.Path) -> None:
        """Stops the machine and writes its state; the disk is as it was then, and QEMU ends."""
        assert self._qmp
        self._wanted = False
        self._qmp.ask("stop")
        self._qmp.ask("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
        self._qmp.until("query-migrate", "status", "completed")
        self._qmp.ask("quit")
        self._ended(30)

    def _ended(self, within: float) -> None:
        """Waits for QEMU's own end; TimeoutExpired when it does not come."""
        if self._process:
            self._process.wait(within)
        if self._keeper:
            self._keeper.join()

    def _start(self, state: pathlib.Path | None = None) -> None:
        incoming = ["-incoming", f"exec:cat {shlex.quote(str(state))}"] if state else []
        (self.folder / "qmp").unlink(missing_ok=True)
        log = self.cache.begin() if self.cache else None
        argv = ["setpriv", "--pdeathsig", "KILL", *arguments(self.folder, self.port, self.firmware, log), *incoming]
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._qmp = qmp.Qmp(self.folder / "qmp")
        self.starts += 1
        if state:
            self._qmp.until("query-status", "status", "paused")
            self._qmp.ask("cont")

    def _follow(self) -> None:
        while self._wanted and self._process and self._qmp:
            self._process.wait()
            events = self._qmp.rest()
            self._qmp.close()
            if not self._wanted or not any(_is_reset(event) for event in events):
                return
            self._start()

    # --- SSH ------------------------------------------------------------------------------------------------------

    def ssh(self, command: str, within: float = 60, check: bool = True) -> str:
        """What the shell command prints; CalledProcessError with its stderr when it fails."""
        argv = [
            "ssh",
            "-p",
            str(self.port),
            "-i",
            str(self.key.login),
            *SSH_OPTIONS,
            *self._trust(),
            "root@127.0.0.1",
            command,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=within, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise AssertionError(
                f"{command!r} ended with {done.returncode}: {done.stderr or done.stdout}\n{self.screen()}"
            )
        return done.stdout

    def up(self, within: float = COLD) -> str:
        """Waits until commands run over SSH; the boot id. AssertionError with the end of the serial log otherwise."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            # A forward accepts before sshd listens, and a hanging one is dropped by ConnectTimeout.
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                return self.ssh("cat /proc/sys/kernel/random/boot_id", within=120).strip()
            time.sleep(0.5)
        raise AssertionError(f"no SSH within {within} s\n{self.screen()}")

    def up_again(self, boot_id: str, within: float = COLD) -> str:
        """Waits for another boot than that one."""
        end = time.monotonic() + within
        while (now := self.up(max(1, end - time.monotonic()))) == boot_id:
            time.sleep(1)
        return now

    def started(self, number: int, within: float) -> None:
        """Waits until it has been started this often. AssertionError with the end of the serial log otherwise."""
        end = time.monotonic() + within
        while self.starts < number:
            assert time.monotonic() < end, f"{self.starts} starts after {within} s\n{self.screen()}"
            time.sleep(0.05)

    def reboot(self) -> str:
        """An ordinary reboot from inside; the new boot id."""
        before = self.up()
        self.ssh('setsid -f sh -c "sleep 0.3; systemctl reboot" >/dev/null 2>&1 </dev/null')
        return self.up_again(before)

    def screen(self, lines: int = 25) -> str:
        """The end of what the machine printed on its serial line."""
        path = self.folder / "serial"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no output)"

    def _trust(self) -> Iterator[str]:
        known = self.folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{self.port} {self.key.host}\n")
        yield from ("-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes")


def arguments(
    folder: pathlib.Path, port: int, firmware: Firmware | None = None, log: pathlib.Path | None = None
) -> list[str]:
    """QEMU's command line: a q35 with an emulated IOMMU and a display at 00:02.0. A saved state fits exactly one, but for ``log``:
    a file in which QEMU writes down all that the guest writes and flushes."""
    pflash: list[str] = []
    chipset = "q35,kernel-irqchip=split"
    if firmware:
        # OVMF leaves the AHCI writing to memory that the guest's IOMMU then hides from it: a saved state could not be loaded.
        chipset += ",sata=off"
        for path, mode in ((firmware.code, ",readonly=on"), (firmware.variables, "")):
            pflash += ["-drive", f"if=pflash,format=raw,file={path}{mode}"]
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-machine", chipset, "-smp", "2", "-m", "1024", *pflash),
        *("-device", "intel-iommu,intremap=on", "-display", "none", "-vga", "none"),
        *("-device", "bochs-display,addr=02.0"),
        *("-drive", f"{_disk(folder / 'disk.qcow2', log)},if=none,id=d0,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=d0,addr=04.0,bootindex=0"),
        *("-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=n0,addr=03.0,romfile="),
        *("-object", "rng-random,id=r0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r0,addr=05.0"),
        *(
            "-no-reboot",
            "-chardev",
            f"file,id=ser,path={folder / 'serial'},append=on",
            "-serial",
            "chardev:ser",
        ),
        *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"),
    ]


def _disk(path: pathlib.Path, log: pathlib.Path | None) -> str:
    # The host's own disk is spared in both: the guest's flushes go as far as the log. blkdebug, which can hold them back, hears of
    # those that come from above it: hence the raw layer.
    if not log:
        return f"file={path},format=qcow2,cache=unsafe"
    disk = f"file.driver=qcow2,file.file.driver=file,file.file.filename={path},file.cache.no-flush=on"
    record = f"log.driver=file,log.filename={log},log.cache.no-flush=on,log-super-update-interval=1"
    logged = ",".join(f"file.image.{part}" for part in f"driver=blklogwrites,{disk},{record}".split(","))
    return f"driver=raw,cache=writeback,file.driver=blkdebug,{logged}"


def _is_reset(event: dict[str, object]) -> bool:
    data = event.get("data")
    return event.get("event") == "SHUTDOWN" and isinstance(data, dict) and data.get("reason") == "guest-reset"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
