"""Following tasks with a clock that is an argument: logs told once, ends judged, lost contact borne, nothing cancelled."""

from __future__ import annotations

import httpx
import pytest

from transom import errors
from transom.pve import tasks

UPID = "UPID:pve1:00001234:0001E240:65A0B1C2:qmstart:700:root@pam!tok:"
STATUS = f"GET /nodes/pve1/tasks/{UPID}/status"
LOG = f"GET /nodes/pve1/tasks/{UPID}/log"
RUNNING = {"status": "running", "upid": UPID}


class Clock:
    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def ended(exitstatus: str) -> dict[str, object]:
    return {"status": "stopped", "exitstatus": exitstatus, "upid": UPID}


def lines(*texts: str):
    """A log that honours start and limit as PVE does."""

    def page(request: httpx.Request) -> httpx.Response:
        start, limit = (int(request.url.params.get(name, standard)) for name, standard in (("start", 0), ("limit", 50)))
        chosen = list(enumerate(texts or ("no content",), 1))[start:]
        rows = [{"n": number, "t": text} for number, text in (chosen[:limit] if limit else chosen)]
        return httpx.Response(200, json={"data": rows, "total": len(texts)})

    return page


def wait(api, timeout=60.0, clock=None):
    clock = clock or Clock()
    told: list[str] = []
    task = api.wait(UPID, timeout=timeout, sleep=clock.sleep, now=clock.now, on_log=told.append)
    return task, told, clock


def test_to_the_end(api, fake, turns):
    fake.answers[STATUS] = turns(RUNNING, RUNNING, ended("OK"))
    fake.answers[LOG] = turns(lines("a"), lines("a"), lines("a", "b", "TASK OK"))
    task, told, clock = wait(api)
    assert task.ok
    assert task.log == ("a", "b", "TASK OK")
    assert told == ["a", "b", "TASK OK"]
    assert clock.slept == [0.2, pytest.approx(0.3)]


def test_a_long_log_is_told_once_and_its_tail_is_kept(api, fake, turns):
    fake.answers[STATUS] = turns(RUNNING, ended("OK"))
    fake.answers[LOG] = lines(*(str(number) for number in range(1200)))
    task, told, _ = wait(api)
    assert told == [str(number) for number in range(1200)]
    assert task.log == tuple(str(number) for number in range(1180, 1200))


def test_an_empty_log(api, fake):
    fake.answers[STATUS] = ended("OK")
    fake.answers[LOG] = lines()
    task, told, _ = wait(api)
    assert (task.log, told) == ((), [])


def test_warnings_are_success(api, fake):
    fake.answers[STATUS] = ended("WARNINGS: 2")
    fake.answers[LOG] = lines("WARN: x", "TASK WARNINGS: 2")
    task, _, _ = wait(api)
    assert (task.ok, task.warnings) == (True, 2)


@pytest.mark.parametrize(
    ("exitstatus", "error", "says"),
    [
        (
            "start failed: QEMU exited with code 1",
            errors.Rejected,
            "log: vfio 0000:00:02.0: failed to open /dev/vfio/1",
        ),
        ("legacy IGD assignment requires rombar to be enabled", errors.Rejected, "requires rombar"),
        ("received interrupt", errors.Rejected, "received interrupt"),
        ("", errors.Rejected, "without an exit status"),
        ("WARNINGS: x", errors.Rejected, "WARNINGS: x"),
        ("VM is locked (backup)", errors.Busy, "VM is locked"),
        ("can't lock file '/var/lock/qemu-server/lock-700.conf' - got timeout", errors.Busy, "got timeout"),
        ("VM quit/powerdown failed - got timeout", errors.Rejected, "powerdown failed"),
        ("cluster not ready - no quorum?", errors.Rejected, "write nothing"),
    ],
)
def test_failures_carry_the_log(api, fake, exitstatus, error, says):
    fake.answers[STATUS] = ended(exitstatus)
    fake.answers[LOG] = lines("vfio 0000:00:02.0: failed to open /dev/vfio/1", "", f"TASK ERROR: {exitstatus}")
    with pytest.raises(error) as caught:
        wait(api)
    assert says in str(caught.value)
    assert UPID in str(caught.value)
    assert "TASK ERROR" not in str(caught.value)


def test_time_is_up_and_nothing_is_cancelled(api, fake):
    fake.answers[STATUS] = RUNNING
    fake.answers[LOG] = lines("a")
    clock = Clock()
    with pytest.raises(errors.Busy) as caught:
        wait(api, timeout=30, clock=clock)
    assert UPID in str(caught.value)
    assert 30 <= clock.time < 31
    assert {asked.method for asked in fake.asked} == {"GET"}


def test_a_task_that_ended_is_seen_even_when_time_is_up(api, fake):
    fake.answers[STATUS] = ended("OK")
    fake.answers[LOG] = lines()
    assert wait(api, timeout=0)[0].ok


def test_lost_contact_is_borne_and_no_line_is_told_twice(api, fake, turns, make_answer):
    fake.answers[STATUS] = turns(RUNNING, make_answer(596, "Connection timed out"), RUNNING, ended("OK"))
    full = lines(*(str(number) for number in range(700)))
    fake.answers[LOG] = turns(full, httpx.ReadTimeout("slow"), full, full)
    task, told, _ = wait(api)
    assert task.ok
    assert told == [str(number) for number in range(700)]


def test_contact_lost_for_good(api, fake):
    fake.answers[STATUS] = httpx.ConnectError("refused")
    with pytest.raises(errors.Unreachable, match="no news within 20 s"):
        wait(api, timeout=20)


def test_a_refusal_while_following_is_told_at_once(api, fake, make_answer):
    fake.answers[STATUS] = make_answer(401, "permission denied - invalid PVE ticket")
    with pytest.raises(errors.Denied):
        wait(api)


def test_task_reads_without_judging(api, fake):
    fake.answers[STATUS] = ended("VM 700 not running")
    fake.answers[LOG] = lines(*(str(number) for number in range(60)))
    task = api.task(UPID)
    assert not task.ok
    assert (task.status, task.exitstatus, len(task.log), task.log[-1]) == ("stopped", "VM 700 not running", 20, "59")


@pytest.mark.parametrize(
    "upid", ["", "UPID:", UPID[:-1], UPID + "x", UPID.replace("pve1", "a/b"), UPID.replace("700", "../..")]
)
def test_what_is_no_upid_is_never_asked_for(api, fake, upid):
    with pytest.raises(errors.Garbled):
        api.task(upid)
    assert fake.asked == []


@pytest.mark.parametrize("data", [None, [], {"status": "odd"}, {"exitstatus": "OK"}])
def test_a_state_of_another_shape(data):
    with pytest.raises(errors.Garbled):
        tasks.parse_state(UPID, data)


@pytest.mark.parametrize("data", [None, {}, ["a"], [{"n": 1}]])
def test_a_log_of_another_shape(data):
    with pytest.raises(errors.Garbled):
        tasks.parse_log(UPID, data)
