"""Starting, stopping, pausing and rebooting VMs: no machine runs, but a start ends as it would on the real node."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from transom.lab.pve import (
    access,
    agent,
    change,
    command,
    conf,
    hotplug,
    node,
    passthrough,
    qemuargs,
    replies,
    runstate,
)
from transom.lab.pve.tasks import Log

POWERDOWN = 0.3  # seconds that an obedient guest takes to shut down


def start(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    """The task `qmstart`: pending changes first, then every rule, then QEMU."""
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if current.main.get("template"):
            replies.die("you can't start a vm if it's a template")
        running = runstate.read(here.place, vmid)
        if running and current.main.get("lock") == "backup":  # QEMU waits for the backup: the guest goes on in it
            runstate.write(here.place, vmid, replace(running, paused=False))
            return
        if not skiplock and current.main.get("lock") != "suspended":
            change.check_lock(current)
        if running:
            replies.die(f"VM {vmid} already running")
        if current.pending:
            hotplug.apply_pending(here, vmid, current)
            current = here.load(vmid)
        suspended = current.main.get("lock") == "suspended"
        if suspended:
            log("Resuming suspended VM")
        run(here, vmid, current, log)
        if suspended:
            forget_state(here, vmid)


def forget_state(here: node.Node, vmid: int) -> None:
    """What belonged to the state on disk goes once the VM runs from it."""
    current = here.load(vmid)
    for name in ("lock", "vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu"):
        current.main.pop(name, None)
    here.save(vmid, current)


def run(here: node.Node, vmid: int, current: conf.Conf, log: Log) -> None:
    warnings: list[str] = []
    try:
        words = command.build(here, vmid, current, warnings)
        chosen = passthrough.choose(here, vmid, passthrough.judge(here, current))
        passthrough.reserve(here, vmid, chosen)
    except replies.Refused:
        for line in warnings:
            log(line)
        if leftover := passthrough.cleanup(here, current):
            log(leftover)
        raise
    for line in warnings:
        log(line)
    launch(here, vmid, current, words, log)


def launch(here: node.Node, vmid: int, current: conf.Conf, words: list[str], log: Log) -> None:
    """What QEMU makes of the command line."""
    if missing := missing_bridge(here, words):
        log(f"bridge '{missing}' does not exist")
        log(f"{here.world.program}: network script /usr/libexec/qemu-server/pve-bridge failed with status 512")
        replies.die("start failed: QEMU exited with code 1")
    if end := qemuargs.check(words, lambda value: realize(here, value)):
        for line in end.lines:
            log(line if end.code == 0 else f"{here.world.program}: {line}")
        replies.die(f"start failed: QEMU exited with code {end.code}" if end.code else f"VM {vmid} not running")
    record(here, vmid, current, words)


def record(here: node.Node, vmid: int, current: conf.Conf, words: list[str]) -> None:
    config = {name: str(value) for name, value in current.main.items() if name != "lock"}
    state = runstate.Running(runstate.new_pid(here.place), time.time(), here.world.qemu,
                             command.machine_version(here, current), config, tuple(words))  # fmt: skip
    runstate.write(here.place, vmid, state)


def missing_bridge(here: node.Node, words: list[str]) -> str:
    for word in words:
        found = re.search(r"^type=tap,.*br=(.*)$", word)
        if found and found[1] and found[1] not in here.world.bridges:
            return found[1]
    return ""


def realize(here: node.Node, value: str) -> str:
    """Why QEMU cannot make this device, '' when it can."""
    if found := re.match(r"vfio-pci,host=([^,]+)", value):
        device = here.hardware.find(found[1])[0]
        if complaint := here.hardware.vfio_ready(device):
            return f"vfio {device.address}: {complaint}"
    rom = re.search(r",romfile=([^,]+)", value)
    return here.hardware.rom(rom[1]) if rom else ""


def need_config(here: node.Node, vmid: int, name: str = "") -> None:
    """The VM is this node's, or that of the node of that name."""
    owner = here.sibling(name or here.name)
    if owner is None or not owner.place.config(vmid).exists():
        replies.die(f"unable to find configuration file for VM {vmid} on node '{name or here.name}'")


def need_running(here: node.Node, vmid: int) -> runstate.Running:
    need_config(here, vmid)
    running = runstate.read(here.place, vmid)
    if running is None:
        replies.die(f"VM {vmid} not running")
    return running


def stop(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    """The task `qmstop`: hard."""
    with here.place.locked(vmid, log):
        need_config(here, vmid)
        if runstate.read(here.place, vmid) is None:
            return
        current = here.load(vmid)
        if not skiplock:
            change.check_lock(current)
        finish(here, vmid, current)


def finish(here: node.Node, vmid: int, current: conf.Conf) -> None:
    """After the machine ended: what was pending becomes current."""
    runstate.remove(here.place, vmid)
    hotplug.apply_pending(here, vmid, current)


def shutdown(
    here: node.Node, vmid: int, log: Log, *, timeout: float | None = None, force: bool = False, skiplock: bool = False
) -> None:
    """The task `qmshutdown`: asks the guest; a deaf one costs the time limit."""
    with here.place.locked(vmid, log):
        need_config(here, vmid)
        if runstate.read(here.place, vmid) is None:
            return
        current = here.load(vmid)
        if not skiplock:
            change.check_lock(current)
        if not agent.obeys(here, vmid):
            log.sleep(60 if timeout is None else timeout)
            if not force:
                replies.die("VM quit/powerdown failed - got timeout")
            log("VM still running - terminating now with SIGTERM")
        else:
            log.sleep(POWERDOWN)
        finish(here, vmid, current)


def reboot(here: node.Node, vmid: int, log: Log, *, timeout: float | None = None) -> None:
    """The task `qmreboot`: a shutdown; qmeventd sees it and begins the start, a task of root's own that may fail by itself."""
    shutdown(here, vmid, log, timeout=timeout)
    here.tasks.start("qmstart", str(vmid), access.Caller("root@pam"), lambda own: start(here, vmid, own))


def reset(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    with here.place.locked(vmid, log):
        if not skiplock:
            change.check_lock(here.load(vmid))
        need_running(here, vmid)


def suspend(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if not skiplock and current.main.get("lock") != "backup":
            change.check_lock(current)
        runstate.write(here.place, vmid, replace(need_running(here, vmid), paused=True))


def resume(here: node.Node, vmid: int, log: Log, *, skiplock: bool = False) -> None:
    with here.place.locked(vmid, log):
        current = here.load(vmid)
        if not skiplock and current.main.get("lock") != "backup":
            change.check_lock(current)
        runstate.write(here.place, vmid, replace(need_running(here, vmid), paused=False))
