"""What became of a VM that we restarted: by its state, and by the node's tasks since."""

from __future__ import annotations

import dataclasses

import pytest

from transom import errors, model
from transom.pve import tasks
from transom.reconcile import restarts
from transom.store import store

KNOWN = "UPID:pve1:00000001:00000001:00000001:qmstart:101:root@pam:"
AT = restarts.Restarted(101, "run-1", (KNOWN,), 1.0)


def upid(number: int, kind: str) -> str:
    return f"UPID:pve1:{number:08X}:00000001:{number:08X}:{kind}:101:root@pam:"


@dataclasses.dataclass
class Api:
    """``kinds``: the tasks since, oldest first; the last start ends with ``ends``."""

    kinds: tuple[str, ...]
    ends: str = "OK"
    wrong: errors.TransomError | None = None

    def task_ids(self, node: str, vmid: int) -> list[str]:
        assert (node, vmid) == ("pve1", 101)
        if self.wrong:
            raise self.wrong
        return [*(upid(number, kind) for number, kind in reversed([*enumerate(self.kinds, 2)])), KNOWN]

    def follow(self, asked: str, **_: object) -> tasks.Task:
        assert tasks.kind(asked) == "qmstart"
        if self.ends == "running":
            raise errors.Busy("still runs")
        return tasks.Task(asked, "stopped", self.ends, ("kvm: no such device",))


@dataclasses.dataclass
class World:
    api: Api
    node: str = "pve1"
    sleep: object = None
    monotonic: object = None


def look(status: str, *kinds: str, **how: object) -> restarts.Found:
    states = {101: model.GuestState(101, status)} if status else {}
    facts = dataclasses.replace(_FACTS, states=states)
    return restarts.look([AT], facts, World(Api(kinds, **how)))


_FACTS = model.Facts("pve1", model.Boot("b", "k", (), "grub", False, 0), {})


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        ("running", ("qmreboot",)),
        ("", ("qmreboot",)),  # gone, or on another node
        ("stopped", ()),  # it never was asked to go down
        ("stopped", ("qmreboot", "qmstart")),  # it came up, and went down by itself
        ("stopped", ("qmreboot", "qmstop")),
        ("stopped", ("qmreboot", "qmshutdown")),
    ],
)
def test_over(status, kinds):
    found = look(status, *kinds)
    assert (found.left, found.over) == ({}, (AT,))


def test_left_off():
    assert look("stopped", "qmreboot").left[101] == model.LeftStopped("run-1", "")
    failed = look("stopped", "qmreboot", "qmstart", ends="start failed: exit code 1").left[101]
    assert failed.says == "task qmstart of 101 on pve1: start failed: exit code 1; log: kvm: no such device"
    again = look("stopped", "qmreboot", "qmstart", "qmstart", ends="start failed: exit code 1").left[101]
    assert again == failed  # no other finding, and so no other plan


@pytest.mark.parametrize("how", [{"ends": "running"}, {"wrong": errors.Unreachable("595")}])
def test_not_known_is_not_over(how):
    found = look("stopped", "qmreboot", "qmstart", **how)
    assert isinstance(found.left[101].says, model.Unknown)
    assert not found.over


def test_of_many_tasks_the_newest_are_kept_and_none_of_the_old_ones_is_new():
    ids = [upid(number, "qmstop") for number in range(500, 0, -1)]
    one = restarts.now(101, "run-1", ids, 1.0)
    new = upid(501, "qmreboot")
    assert len(one.known) < 100
    assert one.since([new, *ids]) == [new]
    assert one.since([ids[0], new, *ids[1:]]) == [new]  # of the same second
    assert restarts.now(101, "run-1", [], 1.0).since([new]) == [new]


def test_a_qemu_that_a_backup_has_started_is_not_the_vm_running():
    states = {101: model.GuestState(101, "running", "backup")}
    found = restarts.look([AT], dataclasses.replace(_FACTS, states=states), World(Api(("qmreboot",))))
    assert found == restarts.Found({})


def test_states_that_were_not_read_tell_nothing():
    assert restarts.look([AT], _FACTS, World(Api(()))) == restarts.Found({})


def test_one_that_was_begun_anew_is_not_dropped(tmp_path):
    kept = store.open_store(tmp_path)
    restarts.begun(kept, "pve1", AT)
    restarts.begun(kept, "pve10", AT)
    restarts.begun(kept, "pve1", again := dataclasses.replace(AT, at=2.0))
    restarts.drop(kept, "pve1", [AT])
    assert restarts.noted(kept, "pve1") == (again,)
    restarts.drop(kept, "pve1", [again])
    assert restarts.noted(kept, "pve1") == ()
    assert restarts.noted(kept, "pve10") == (AT,)
    kept.close()
