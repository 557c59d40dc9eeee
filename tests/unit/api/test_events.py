"""The event stream: order, resuming, what is lost is told, heartbeats, who does not read is dropped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from patience import PATIENCE, until
from transom.api import auth, feed, sse
from transom.reconcile import backend


@contextlib.contextmanager
def stream(api, last_id: str = "", **query: str) -> Iterator[Iterator[str]]:
    """Its lines, from the first on."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with api.viewer.stream("GET", "/v1/events", headers=headers, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 3000"
        yield lines


def take(lines: Iterator[str], count: int) -> list[dict[str, str]]:
    """As many events, each as its fields."""
    found: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue  # a heartbeat
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            found, fields = [*found, fields], {}
        if len(found) == count:
            break
    return found


def kept(api, count: int) -> None:
    """Wait until the feed has taken in events up to that one."""
    until(lambda: api.feed._kept and api.feed._kept[-1].seq >= count)


def test_events_come_in_order_as_they_happen(api):
    with stream(api) as lines:
        for number in range(3):
            api.daemon.tell("run.step", data={"text": f"line\nbreak {number}"})
        found = take(lines, 3)
    assert [one["id"] for one in found] == ["testlife-1", "testlife-2", "testlife-3"]
    assert [one["event"] for one in found] == ["run.step"] * 3
    assert json.loads(found[2]["data"])["data"] == {"text": "line\nbreak 2"}


def test_resuming_misses_nothing_and_repeats_nothing(api):
    for _ in range(5):
        api.daemon.tell("drift")
    kept(api, 5)
    with stream(api, "testlife-3") as lines:
        api.daemon.tell("plan")
        assert [one["id"] for one in take(lines, 3)] == ["testlife-4", "testlife-5", "testlife-6"]


@pytest.mark.parametrize(
    ("last_id", "first"), [("testlife-1", 3), ("otherlife-9", 3), ("rubbish", 3), ("testlife-99", None)]
)
def test_what_is_lost_is_told(api, last_id, first):
    for _ in range(10):  # the feed of these tests keeps 8
        api.daemon.tell("drift")
    kept(api, 10)
    with stream(api, last_id) as lines:
        api.daemon.tell("plan")
        reset, event = take(lines, 2)
    assert reset["event"] == "reset"
    assert event["id"] == f"testlife-{first or 11}"


def test_a_new_client_starts_now(api):
    api.daemon.tell("old")
    kept(api, 1)
    with stream(api) as lines:
        api.daemon.tell("new")
        assert take(lines, 1)[0]["event"] == "new"


def test_one_node_only(api):
    with stream(api, node="pve2") as lines:
        api.daemon.tell("drift", "pve1")
        api.daemon.tell("drift", "pve2")
        assert take(lines, 1)[0]["id"] == "testlife-2"


def test_a_quiet_stream_beats(api, monkeypatch):
    monkeypatch.setattr(sse.respond, "__kwdefaults__", {"heartbeat": 0.1})
    with stream(api) as lines:
        beats = [next(lines) for _ in range(4)]
    assert beats.count(": still here") >= 1


def test_the_stream_ends_with_the_server(api):
    with stream(api) as lines:
        threading.Thread(target=api.server.stop).start()
        assert "id" not in "".join(lines)


def test_who_goes_is_forgotten(api):
    with stream(api):
        assert len(api.feed._listeners) == 1
    until(lambda: not api.feed._listeners)


def test_who_does_not_read_is_dropped_and_nobody_waits(api):
    url = httpx.URL(api.url)
    with socket.socket() as deaf, stream(api) as lines:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((url.host, url.port))
        token = api.viewer.headers["authorization"]
        deaf.sendall(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        assert deaf.recv(12) == b"HTTP/1.1 200"
        for _ in range(40):
            api.daemon.tell("big", data={"text": "x" * 500_000})
            take(lines, 1)  # the other client gets each one at once
        until(lambda: len(api.feed._listeners) == 1)


def test_there_are_only_so_many(api, monkeypatch):
    monkeypatch.setattr(feed, "LISTENERS", 1)
    with stream(api):
        refused = api.viewer.get("/v1/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


# --- the feed by itself ----------------------------------------------------------------------------------------------


def test_no_event_between_backlog_and_what_follows():
    """Threads listen and leave while events come; each listener's events are without a gap."""
    total = 3000

    def source() -> Iterator[backend.Event | None]:
        for seq in range(1, total + 1):
            if seq % 50 == 0:
                time.sleep(0.001)
            yield backend.Event(seq, 0.0, "x", "", {})

    async def follow(tested: feed.Feed, after: int) -> list[int]:
        listener, _ = tested.listen(after)
        seen: list[int] = []
        while not seen or seen[-1] < total:
            taken = await asyncio.wait_for(listener.take(), PATIENCE)
            seen += [event.seq for event in taken]
            if not taken and listener.ended:
                break
        tested.leave(listener)
        return seen

    async def main() -> None:
        tested = feed.Feed(source, "life", kept=total, behind=total)
        tested.start()
        waiting = []
        for number in range(20):
            await asyncio.sleep(0.002)
            waiting.append(asyncio.create_task(follow(tested, number)))
        for number, seen in enumerate(await asyncio.gather(*waiting)):
            assert seen == list(range(number + 1, total + 1))

    asyncio.run(main())


def test_a_stream_ends_with_its_token(api, monkeypatch):
    monkeypatch.setattr(sse, "CHECK", 0.0)
    gone = auth.Gate(lambda _: None)
    with stream(api) as lines:
        api.daemon.tell("run.step")
        assert len(take(lines, 1)) == 1
        monkeypatch.setattr(auth.Gate, "caller", gone.caller)
        api.daemon.tell("run.step", data={"text": "secret"})
        assert "secret" not in "".join(lines)  # it has ended


def test_a_silent_stream_ends_too():
    async def whole() -> list[bytes]:
        sent: list[bytes] = []

        async def send(message) -> None:
            sent.append(message.get("body", b""))

        async def receive():
            await asyncio.sleep(60)

        async def allowed() -> bool:
            return False

        source = feed.Feed(lambda: iter(()), "life")
        made = sse.respond(source, None, "", allowed=allowed, heartbeat=0.01)
        await asyncio.wait_for(made({"type": "http"}, receive, send), PATIENCE)
        return sent

    assert asyncio.run(whole())[1:] == [b"retry: 3000\n\n", b""]
