"""Tasks in a run: journalled, told, judged; and when contact is lost, settled by reading and never asked for twice."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from patience import settled
from transom import errors
from transom.guest import conf, identity
from transom.pve import tasks
from transom.reconcile import job, papers
from transom.spec import bundle
from transom.store import records, store


class Bench:
    """One fake node with its VM declared, and jobs on it with a clock that only sleeping moves."""

    def __init__(self, fleet, folder) -> None:
        self.fleet, self.node = fleet, fleet.nodes["pve1"]
        self.kept = store.open_store(folder)
        fleet.shelf(self.kept)
        self.heard: list[tuple[str, str, dict]] = []
        self.said: list[str] = []
        self.clock = 0.0
        self._papers = papers.Papers(self.kept)
        self._times = itertools.count()
        self.declare()

    def declare(self, **values) -> None:
        own = self._papers.parse([self.fleet.documents(**values)])
        self.kept.put_documents([bundle.dump(item) for item in own], next(self._times))

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def job(self):
        wanted = self._papers.need("pve1")
        world = self.fleet.reach(wanted).__enter__()
        world = dataclasses.replace(
            world, sleep=self.sleep, monotonic=lambda: self.clock, now=lambda: self.clock, say=self.said.append
        )
        return job.Job(wanted, world, self.kept, tell=lambda *told: self.heard.append(told))

    def apply(self) -> str:
        one = self.job()
        return one.apply(one.propose().hash)

    def converge(self) -> str:
        run = self.apply()
        assert self.job().propose().empty
        return run

    def phases(self, run: str = "") -> list[tuple[int, str]]:
        run = run or self.kept.runs()[0].id
        return [(event.step, event.phase) for event in self.kept.events(run)]

    def said_in(self, phase: str) -> list[str]:
        return [one.text for one in self.kept.events(self.kept.runs()[0].id) if one.phase == phase]

    def made(self) -> list[str]:
        return [task.upid for task in self.node.tasks if ":qmcreate:" in task.upid]


@pytest.fixture
def bench(new_fleet, tmp_path):
    one = Bench(new_fleet(), tmp_path)
    yield one
    one.kept.close()


def lost(text: str = "596 tls_process_server_certificate") -> errors.Unreachable:
    error = errors.Unreachable(text)
    error.unsure = True
    return error


def test_a_task_is_journalled_before_it_is_asked_for_and_told_line_by_line(bench):
    bench.node.ends = [("OK", "allocating", "transferred 1.0 GiB of 4.0 GiB (25.50%)", "TASK OK")]
    run = bench.converge()
    assert bench.phases() == [(1, "before"), (0, "vmid"), (1, "task"), (1, "task"), (1, "task-end"), (1, "after")]
    asked, begun, ended = [one for one in bench.kept.events(run) if one.phase.startswith("task")]
    assert (asked.data["upid"], begun.data["upid"]) == ("", bench.made()[0])
    assert ended.data["exitstatus"] == "OK"
    lines = [data for kind, node, data in bench.heard if (kind, node) == ("task.log", "pve1")]
    assert [(one["line"], one["percent"]) for one in lines] == [
        ("allocating", None),
        ("transferred 1.0 GiB of 4.0 GiB (25.50%)", 25.5),
        ("TASK OK", None),
    ]
    assert {(one["run"], one["step"], one["upid"]) for one in lines} == {(run, 1, bench.made()[0])}


def test_warnings_are_success_and_a_finding_of_the_run(bench):
    bench.node.ends = [("WARNINGS: 1", "WARN: no efidisk configured!", "TASK WARNINGS: 1")]
    run = bench.converge()
    assert bench.kept.run(run).state == records.APPLIED
    (found,) = bench.said_in("finding")
    assert found == "task-warnings: qmcreate went well with 1 warnings: WARN: no efidisk configured!"


def test_a_failure_carries_the_tail_of_the_log(bench):
    bench.node.ends = [("storage is full", "allocating", "TASK ERROR: storage is full")]
    with pytest.raises(errors.Rejected, match="storage is full; log: allocating"):
        bench.apply()
    assert "log: allocating" in bench.kept.runs()[0].error


def test_the_answer_is_lost_and_the_task_is_found(bench):
    bench.node.lost = lost()
    bench.converge()
    assert len(bench.made()) == 1
    assert bench.kept.runs()[0].state == records.APPLIED


def test_the_request_is_lost_and_the_task_never_began(bench):
    def refuse(_: int) -> None:
        raise lost("connection reset")

    bench.node.before_create = refuse
    with pytest.raises(errors.Unreachable, match="connection reset"):
        bench.apply()
    assert 15 <= bench.clock < 17
    assert bench.said_in("task-end") == ["qmcreate of 100 never began: connection reset"]
    bench.node.before_create = None
    bench.converge()
    assert len(bench.made()) == 1


def test_an_older_task_of_the_kind_is_not_taken_for_ours(bench):
    bench.node.tasks.append(dataclasses.replace(ended(), upid=ended().upid.replace(":9:", ":100:")))

    def refuse(_: int) -> None:
        raise lost()

    bench.node.before_create = refuse
    with pytest.raises(errors.Unreachable):
        bench.apply()
    assert bench.said_in("task-end")[0].startswith("qmcreate of 100 never began")


def ended():
    return tasks.Task("UPID:pve1:00000000:00000001:00000001:qmcreate:9:transom@pve!t:", "stopped", "OK")


def test_contact_stays_lost_and_the_next_run_looks_first(bench):
    """The task began, nothing can be read: the run fails, and nothing else is done before its end is known."""
    bench.node.lost, create = lost(), bench.node.tasks

    def fall_silent(_: int) -> None:
        bench.node.silent = errors.Unreachable("no route")

    first = bench.job()
    hash = first.propose().hash
    bench.node.before_create = fall_silent
    with pytest.raises(errors.Unreachable, match="whether qmcreate of 100 began on pve1 cannot be read"):
        first.apply(hash)
    assert len(create) == 1
    with pytest.raises(errors.Unreachable):
        bench.apply()
    assert [run.state for run in bench.kept.runs()] == [records.FAILED]
    bench.node.silent, bench.node.before_create = None, None
    bench.job().close_interrupted()
    assert bench.phases()[-1] == (1, "task-end")
    assert bench.job().propose().empty
    assert len(create) == 1


def test_a_task_that_still_runs_is_left_alone_and_waited_for(bench):
    bench.node.ends = [("running",)]
    with pytest.raises(errors.Busy, match="still runs"):
        bench.apply()
    with pytest.raises(errors.Busy, match="still runs"):
        bench.apply()
    assert len(bench.kept.runs()) == 1
    bench.node.tasks[0] = dataclasses.replace(bench.node.tasks[0], status="stopped", exitstatus="OK")
    bench.job().close_interrupted()
    assert bench.job().propose().empty


def test_a_task_of_which_nothing_is_known_any_more_stops_nobody(bench):
    bench.node.ends = [("running",)]
    with pytest.raises(errors.Busy):
        bench.apply()
    bench.node.tasks.clear()
    bench.job().close_interrupted()
    assert "nothing is known of it any more" in bench.said_in("task-end")[0]


class Killed(BaseException):
    """As the daemon's process is, from outside."""


@pytest.mark.parametrize("began", [True, False])
def test_killed_while_asking(bench, began):
    """After a restart the task is found by reading, and the VM is known by its generation id as if nothing had happened."""

    def die(_: int) -> None:
        raise Killed

    if began:
        bench.node.lost = Killed()  # after it was carried out
    else:
        bench.node.before_create = die
    with pytest.raises(Killed):
        bench.apply()
    assert [run.state for run in bench.kept.runs()] == [records.RUNNING]
    bench.node.before_create = None
    one = bench.job()
    one.close_interrupted()
    assert bench.kept.runs()[0].state == records.INTERRUPTED
    if not began:
        bench.converge()
    assert bench.job().propose().empty
    assert len(bench.made()) == 1
    assert bench.kept.ledger("pve1")["qemu/100"].applied == "gen-100"


def with_pending(bench):
    """A job whose changes stay pending, as on a running VM."""
    one = bench.job()

    def pending(_node, vmid, *, values, **_):
        parsed = conf.parse(bench.node.confs[vmid])
        bench.node.confs[vmid] = conf.render(dataclasses.replace(parsed, pending=dict(values)))

    one.world.api.update = pending
    return one


def test_a_lost_restart_is_not_repeated(bench):
    bench.converge()
    bench.node.running.add(100)
    bench.declare(memory=4096)
    one = with_pending(bench)
    bench.node.lost = lost()
    one.apply(one.propose().hash)
    assert len([one for one in bench.node.tasks if ":qmreboot:" in one.upid]) == 1
    assert bench.node.get(100, "memory") == "4096"


def test_a_vm_that_would_not_come_back_is_not_restarted(bench):
    bench.converge()
    bench.node.running.add(100)
    bench.declare(memory=4096)
    bench.node.refuses = "PCI device mapping invalid (hardware probably changed)\n"
    one = with_pending(bench)
    with pytest.raises(errors.Rejected, match="would not come back: PCI device mapping invalid"):
        one.apply(one.propose().hash)
    assert bench.said_in("finding")[-1].startswith("start-refused: PVE would not start VM 100: PCI device mapping")
    assert not [one for one in bench.node.tasks if ":qmreboot:" in one.upid]


def test_what_would_not_start_is_told_where_it_was_written(bench):
    bench.node.refuses = "no PCI device found for '0000:03:00.0'\n"
    run = bench.converge()
    assert bench.kept.run(run).state == records.APPLIED
    assert bench.said_in("finding") == [
        "start-refused: PVE would not start VM 100: no PCI device found for '0000:03:00.0'"
    ]


# --- changes without a task ------------------------------------------------------------------------------------------


def test_a_change_whose_answer_is_lost_is_seen_in_the_configuration(bench):
    bench.converge()
    bench.declare(memory=4096)
    one = bench.job()
    update = one.world.api.update

    def answer_lost(*args, **kwargs):
        update(*args, **kwargs)
        raise lost()

    one.world.api.update = answer_lost
    one.apply(one.propose().hash)
    assert bench.node.get(100, "memory") == "4096"
    assert bench.job().propose().empty


def test_a_change_that_never_came_fails_and_is_not_repeated(bench):
    bench.converge()
    bench.declare(memory=4096)
    one, sent = bench.job(), []

    def never(*args, **_):
        sent.append(args)
        raise lost()

    one.world.api.update = never
    with pytest.raises(errors.Unreachable):
        one.apply(one.propose().hash)
    assert len(sent) == 1
    assert bench.clock >= 15
    bench.converge()


def test_somebody_elses_change_in_the_meantime_is_theirs(bench):
    bench.converge()
    bench.declare(memory=4096)
    one = bench.job()

    def other_was_quicker(*_, **__):
        bench.node.set(100, cores="8")
        raise lost()

    one.world.api.update = other_was_quicker
    with pytest.raises(errors.Void, match="changed by somebody else"):
        one.apply(one.propose().hash)
    assert bench.node.get(100, "cores") == "8"


# --- VM ids ----------------------------------------------------------------------------------------------------------


def test_an_id_that_others_take_first_is_left_to_them(bench):
    """Two are quicker than we; the third id is ours, and undoing the run touches theirs not at all."""
    race = itertools.count()

    def be_quicker(vmid: int) -> None:
        if next(race) < 2:
            bench.node.confs[vmid] = "name: theirs\n"

    bench.node.before_create = be_quicker
    run = bench.converge()
    assert sorted(bench.node.confs) == [100, 101, 102]
    assert identity.marked(conf.parse(bench.node.confs[102])) == "vm-pve1"
    assert [path for path in bench.kept.ledger("pve1") if path.count("/") == 1] == ["qemu/102"]
    assert bench.phases(run).count((1, "taken")) == 2
    plan = bench.job().propose_undo(bench.kept.run(run))
    assert not plan.findings
    assert {getattr(action, "vmid", None) for action in plan.actions} == {102}, plan.actions


def test_an_id_that_is_always_taken_ends(bench):
    def be_quicker(vmid: int) -> None:
        bench.node.confs[vmid] = "name: theirs\n"

    bench.node.before_create = be_quicker
    with pytest.raises(errors.VmidTaken):
        bench.apply()
    assert len(bench.node.confs) == 10
    bench.node.before_create = None
    bench.converge()
    assert identity.marked(conf.parse(bench.node.confs[110])) == "vm-pve1"


# --- through the daemon ----------------------------------------------------------------------------------------------


def test_the_lines_of_a_task_are_on_the_event_stream(new_fleet):
    fleet = new_fleet()
    fleet.nodes["pve1"].ends = [("OK", "allocating (50%)", "TASK OK")]
    keeper = fleet.start()
    asked = keeper.provision([fleet.documents()], approve=True, key="", by="eve")
    assert settled(keeper, asked).state == "done"
    seen = list(itertools.takewhile(lambda event: event is not None, keeper.events()))
    lines = [event.data for event in seen if event.kind == "task.log"]
    assert [(line["line"], line["percent"]) for line in lines] == [("allocating (50%)", 50.0), ("TASK OK", None)]
    assert {"task", "task-end"} < {event.data["phase"] for event in seen if event.kind == "run.step"}
