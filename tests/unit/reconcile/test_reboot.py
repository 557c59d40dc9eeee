"""Waiting for a rebooted node: shell, cluster file system, API and quorum, in the order in which a real one has them again."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess

import pytest

import patience
from transom import errors, model
from transom.host.probes import keeping
from transom.plan import actions as acts
from transom.reconcile import deadman, right_node
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import reboot
from transom.ssh import pump

GONE = b"rolled-run=run1\nrolled-at=1700000000\nrolled-boot=boot-2\nrolled-reason=not confirmed within 60 s\n"


@dataclasses.dataclass
class Machine:
    """A node over time: when, in seconds after its reboot, each part of it answers again."""

    sshd: float = 3
    pmxcfs: float = 6
    api: float = 20
    quorum: float = 30
    name: str = "pve1"
    clock: float = 1000.0
    rebooted: float | None = None
    mark: bool = True
    armed: bool = True
    goes_back: float | None = None
    """Seconds after the reboot at which it marks that it has gone back; it reboots then, and is there after ``sshd`` again."""
    refuses: bytes | None = None
    """What ``systemctl reboot`` says when it does not reboot; None when it obeys."""
    state: str = "running"
    """Of its systemd, while it is asked to reboot and has not; ``stopping`` for ever in a shutdown that hangs."""

    def up(self, after: float) -> bool:
        if self.goes_back and self.since >= self.goes_back + 1:
            return self.since - self.goes_back - 1 >= after
        return self.rebooted is None or self.clock - self.rebooted >= after

    @property
    def since(self) -> float:
        return 0 if self.rebooted is None else self.clock - self.rebooted

    # --- the shell ---

    def connect(self):
        if not self.up(self.sshd):
            raise errors.Unreachable("connection refused")
        return Shell(self)

    def run(self, argv, **_):
        if not self.up(self.sshd):
            raise errors.Unreachable("connection lost")
        if argv[:2] == ["rm", "-f"]:
            self.mark = False
            return pump.Completed(0, b"", b"")
        if argv[-2:] == ["left", "run1"]:
            return pump.Completed(0, b"left \n", b"")
        boot = 1 if self.rebooted is None else 3 if self.goes_back and self.since >= self.goes_back + 1 else 2
        return pump.Completed(0, b"boot-%d\n" % boot, b"")

    def script(self, text, args=(), **__):
        if list(args) == ["/var/lib/transom/rollback/armed"]:
            return pump.Completed(0, b"run1 boot-1 600\n", b"") if self.armed else pump.Completed(44, b"", b"")
        if text == keeping.PROBE.command:
            if not self.up(self.sshd):
                raise errors.Unreachable("connection refused")
            back = self.goes_back is not None and self.since >= self.goes_back
            return pump.Completed(0, GONE if back else b"armed=run1 boot-1 60\n", b"")
        if text == reboot._REFUSED:
            told = self.refuses is not None and self.state != "stopping"
            return pump.Completed(0 if told else 1, (self.refuses or b"") if told else b"", b"")
        if "systemctl reboot" in text:
            self.rebooted = self.clock if self.refuses is None and self.state == "running" else None
        elif not self.up(self.pmxcfs):
            return pump.Completed(3, b"", b"")
        return pump.Completed(0, f"nodes/{self.name}\n{self.name}\n".encode(), b"")

    # --- the API ---

    def version(self):
        if not self.up(self.api):
            raise errors.Unreachable("connection refused")
        return "9.0"

    def guests(self, _):
        return {}

    def cluster_status(self):
        return dataclasses.make_dataclass("Status", ["quorate"])(self.up(self.quorum))


@dataclasses.dataclass
class Shell:
    """One connection, which is of no use once it is closed."""

    machine: Machine
    open: bool = True

    def run(self, argv, **more):
        self.usable()
        return self.machine.run(argv, **more)

    def script(self, *words, **more):
        self.usable()
        return self.machine.script(*words, **more)

    def usable(self):
        if not self.open:
            raise errors.Unreachable("the connection has been closed")

    def close(self):
        self.open = False


def world(machine: Machine, said: list[str], limit: float = 100) -> w.World:
    def sleep(seconds: float) -> None:
        machine.clock += seconds

    return w.World(
        "pve1",
        Shell(machine),
        machine,
        machine.connect,
        lambda: machine.clock,
        sleep,
        str,
        said.append,
        lambda _: b"",
        limit,
    )


INHIBITED = b"Call to Reboot failed: Access denied due to active block inhibitor\n"
ACTION = acts.Reboot("boot-1", "for a test")
CONTEXT = eff.Context("run1", "boot-1")


def test_it_goes_on_only_once_everything_answers_and_says_what_it_waits_for():
    machine, said = Machine(), []
    reboot.apply(ACTION, eff.Effect(), world(machine, said), CONTEXT)
    assert machine.clock - machine.rebooted >= machine.quorum
    assert not machine.mark
    waits = [line.split(" of ")[0] for line in said]
    assert list(dict.fromkeys(waits)) == [
        "waiting for /etc/pve (pve-cluster)",
        "waiting for the PVE API",
        "waiting for quorum",
    ]


@pytest.mark.parametrize(
    ("late", "missing"), [("sshd", "SSH"), ("pmxcfs", "/etc/pve"), ("api", "the PVE API"), ("quorum", "quorum")]
)
def test_all_of_it_within_one_limit(late, missing):
    machine = Machine(**{late: 500})
    with pytest.raises(errors.Unreachable, match=missing):
        reboot.apply(ACTION, eff.Effect(), world(machine, []), CONTEXT)
    assert machine.clock - machine.rebooted <= 101
    assert machine.mark


@pytest.mark.parametrize(
    ("late", "what"), [("pmxcfs", "/etc/pve (pve-cluster)"), ("api", "the PVE API"), ("quorum", "quorum")]
)
def test_a_node_that_has_gone_back_is_not_waited_for_any_longer(late, what):
    machine, notes = Machine(**{late: 5000}, goes_back=60), []
    context = dataclasses.replace(CONTEXT, note=lambda *line: notes.append(line))
    with pytest.raises(
        errors.WentBack, match=rf"within 60 s; what was missing: {re.escape(what)} \(.*transom resume pve1"
    ):
        reboot.apply(ACTION, eff.Effect(), world(machine, [], limit=900), context)
    assert machine.since < 60 + 1 + machine.sshd + 2 * reboot.REPORT_EVERY, (
        "once it is up again, not while it goes down"
    )
    assert machine.up(machine.sshd)
    assert notes == [(deadman.MISSING, f"{what} is missing", [what])]


def test_a_mark_of_another_run_ends_nothing():
    machine = Machine(quorum=50, goes_back=1000)
    other = dataclasses.replace(CONTEXT, run="run2")
    machine.script = lambda text, args=(), **__: (
        pump.Completed(0, GONE, b"") if text == keeping.PROBE.command else Machine.script(machine, text, args)
    )
    machine.run = lambda argv, **__: Machine.run(machine, [*argv[:-1], "run1"] if argv[-1] == "run2" else argv)
    reboot.apply(ACTION, eff.Effect(), world(machine, []), other)


def test_the_node_that_transom_runs_on_is_rebooted_by_a_person_and_waited_for():
    machine, said = Machine(), []
    there = world(machine, said)
    began = machine.clock

    def sleep(seconds: float) -> None:
        machine.clock += seconds
        if machine.rebooted is None and machine.clock - began >= 40:
            machine.rebooted = machine.clock

    there.sleep = sleep
    reboot.apply(dataclasses.replace(ACTION, by_hand=True), eff.Effect(), there, CONTEXT)
    assert machine.rebooted is not None
    assert machine.rebooted - began >= 40
    assert "systemctl reboot" in said[0]
    # a command that runs there ends with the reboot: what comes then has to be said before
    assert "without one run `transom apply` within 600 s of its start, or the node goes back" in said[0]
    assert not machine.mark


def test_nobody_reboots_the_node_that_transom_runs_on_and_the_run_ends_with_the_node_up():
    machine = Machine()
    with pytest.raises(errors.Rejected) as ended:
        reboot.apply(dataclasses.replace(ACTION, by_hand=True), eff.Effect(), world(machine, []), CONTEXT)
    assert machine.rebooted is None
    assert "pve1 has not been rebooted within 100 s" in str(ended.value)
    assert "`transom apply` within 600 s of its start" in str(ended.value)
    assert "console" not in str(ended.value)


def test_a_person_who_reboots_it_and_it_does_not_come_back_is_told_to_look_at_its_console():
    machine = Machine(sshd=500)
    there = world(machine, [])

    def sleep(seconds: float) -> None:
        machine.clock += seconds
        machine.rebooted = machine.rebooted or machine.clock

    there.sleep = sleep
    with pytest.raises(errors.Unreachable, match="console"):
        reboot.apply(dataclasses.replace(ACTION, by_hand=True), eff.Effect(), there, CONTEXT)


def left_by_step(there: w.World) -> None:
    reboot.apply(ACTION, eff.Effect(), there, CONTEXT)


def left_by_trial(there: w.World) -> None:
    reboot.again(there, "systemctl reboot", "boot-1")


@pytest.mark.parametrize("leave", [left_by_step, left_by_trial])
def test_a_node_that_refuses_to_reboot_says_so_soon_and_can_be_given_back_to(leave):
    machine = Machine(refuses=INHIBITED)
    there, began = world(machine, [], limit=900), machine.clock
    with pytest.raises(
        errors.Rejected, match=r"pve1 refuses to reboot: .*active block inhibitor \(`systemd-inhibit --list`"
    ):
        leave(there)
    assert reboot.REPORT_EVERY <= machine.clock - began < 2 * reboot.REPORT_EVERY
    assert machine.mark, "the reboot is owed yet"
    assert reboot.still("boot-1", there), "its shell is open: guests are started by it"


@pytest.mark.parametrize("leave", [left_by_step, left_by_trial])
@pytest.mark.parametrize("refuses", [None, INHIBITED])
def test_a_shutdown_that_takes_long_is_waited_for_and_one_that_never_ends_is_no_matter_for_the_console(leave, refuses):
    machine = Machine(refuses=refuses, state="stopping")
    there, began = world(machine, []), machine.clock
    with pytest.raises(errors.Rejected, match="pve1 never went down: 100 s after") as ended:
        leave(there)
    assert machine.clock - began >= 100
    assert "console" not in str(ended.value)
    assert reboot.still("boot-1", there)


@pytest.fixture
def asked_to_reboot(tmp_path: pathlib.Path):
    """Runs the real commands with a ``systemctl`` that has this answer to a reboot, and this state; what then speaks against
    waiting on: exit status and words."""
    tool = tmp_path / "systemctl"
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def sh(text: str) -> subprocess.CompletedProcess[str]:
        text = text.replace("/run/", f"{tmp_path}/")
        return subprocess.run(["sh", "-c", text], env=env, capture_output=True, text=True, check=False)

    def run(answer: str, state: str, until: str) -> tuple[int, str]:
        tool.write_text(f'#!/bin/sh\n[ "$1" = reboot ] || {{ echo {state}; exit; }}\n{answer}\n: >{tmp_path}/done\n')
        tool.chmod(0o755)
        assert sh(reboot._DETACHED.format(command="systemctl reboot")).returncode == 0
        patience.until((tmp_path / until).exists)
        said = sh(reboot._REFUSED)
        return said.returncode, said.stdout

    return run


@pytest.mark.parametrize(
    ("answer", "state", "until", "want"),
    [
        ("echo 'Access denied' >&2; exit 1", "degraded", "transom-reboot", (0, "Access denied\n")),
        ("echo 'Connection reset' >&2; exit 1", "stopping", "transom-reboot", (1, "")),
        ("echo 'a warning' >&2", "running", "done", (1, "")),
    ],
)
def test_what_is_said_against_a_reboot_stays_on_the_node(asked_to_reboot, tmp_path, answer, state, until, want):
    (tmp_path / "transom-reboot").write_text("an older refusal")
    assert asked_to_reboot(answer, state, until) == want


@pytest.mark.parametrize(("text", "mark"), [(b"run1 boot-1 600\n", True), (b"run1 boot-1\n", False), (None, None)])
def test_who_has_armed_a_node_is_read_or_said_not_to_be_understood(text, mark):
    host = Machine()
    host.script = lambda *_, **__: pump.Completed(44 if text is None else 0, text or b"", b"")
    if mark is False:
        with pytest.raises(errors.Garbled, match="rollback/armed"):
            deadman.mark(host)
    else:
        assert deadman.mark(host) == (model.Armed("run1", "boot-1", 600) if mark else None)


def test_a_node_that_has_rebooted_already_is_waited_for_and_not_rebooted():
    machine = Machine()
    machine.rebooted = machine.clock - 4
    assert "already" in reboot.apply(ACTION, eff.Effect(), world(machine, []), CONTEXT)
    assert machine.clock - machine.rebooted >= machine.quorum


def test_another_node_that_comes_up_in_its_place_ends_it():
    machine = Machine()
    there = world(machine, [])
    machine.name = "pve2"
    with pytest.raises(errors.Rejected, match="pve2"):
        reboot.apply(ACTION, eff.Effect(), there, CONTEXT)


def test_nothing_starts_on_another_node_or_on_one_that_cannot_say_who_it_is():
    right_node.check(world(Machine(), []))
    with pytest.raises(errors.Rejected, match="leads to node pve2, not to pve1"):
        right_node.check(world(Machine(name="pve2"), []))
    blind = Machine(rebooted=1000.0, sshd=0)
    with pytest.raises(errors.Rejected, match="cannot be told"):
        right_node.check(world(blind, []))
    assert isinstance(right_node.ask(blind), model.Unknown)
