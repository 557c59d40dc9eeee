"""Tasks as the API really gives them: 200 with a task that fails, ended ones among the running, a log that is read in pieces."""

from __future__ import annotations

import pytest

from transom import errors
from transom.lab.pve import access

NODE = "pve1"


@pytest.fixture
def node(bench):
    one = bench(1)
    one.declare(memory=512, cpu="host")
    one.api.writes.clear()
    return one


@pytest.fixture
def api(node):
    return node.job().world.api


def follow(api, node, upid: str):
    return api.wait(upid, sleep=node.clock.sleep, now=node.clock)


def test_start_of_a_vm_that_is_not_there_is_a_task_that_fails(api, node):
    upid = api.start(NODE, 999)
    with pytest.raises(errors.Rejected, match=r"task qmstart of 999 on pve1 .*999.conf' does not exist"):
        follow(api, node, upid)
    assert upid in api.task_ids(NODE, 999)


def test_a_locked_vm_is_busy_when_its_task_has_ended_not_when_it_is_asked(api, node):
    node.here.place.config(900).write_text("lock: backup\nmemory: 512\nname: vm\n")
    for ask in (api.start, api.destroy):
        upid = ask(NODE, 900)
        with pytest.raises(errors.Busy, match=r"VM is locked \(backup\)"):
            follow(api, node, upid)
    assert node.here.place.config(900).exists()


def test_a_running_task_is_in_the_list_and_its_log_is_told_once(api, node):
    def work(log) -> None:
        for number in range(1200):
            log(f"line {number}")

    upid = node.tasks.start("qmstart", "900", access.Caller("transom@pve!transom"), work)
    assert api.task_ids(NODE, 900) == (upid,)
    told: list[str] = []
    api.wait(upid, sleep=node.clock.sleep, now=node.clock, on_log=told.append)
    assert told == [*(f"line {number}" for number in range(1200)), "TASK OK"]
    assert api.task_log(upid, 0, 2) == ["line 0", "line 1"]
    assert len(api.task_log(upid, 0, 0)) == 1201


def test_an_id_that_is_taken_is_refused_when_it_is_asked_for(api, node):
    node.here.place.config(900).write_text("name: theirs\n")
    with pytest.raises(errors.Rejected, match="VM 900 already exists on node 'pve1'"):
        api.create(NODE, 900, {"name": "mine"})
    assert not node.tasks.begun
