"""The event stream as text/event-stream (WHATWG HTML, 9.2): ids that can be resumed from, heartbeats, an end for slow clients.

Ids are ``LIFE-SEQ``. A client that comes with an id of another life of the daemon, or of an event that is kept no longer, first
gets the event ``reset``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import anyio
import pydantic_core
from starlette import responses, types

from transom.api import feed, problem, server
from transom.reconcile import backend

HEARTBEAT = 15.0
"""Seconds. Proxies cut lines that are silent for 30 to 60."""
RETRY_MS = 3000
_ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,15})")


CHECK = 1.0
"""Seconds for which a caller that was allowed is not asked about again."""
Allowed = Callable[[], Awaitable[bool]]


def respond(
    source: feed.Feed, last_id: str | None, node: str, *, allowed: Allowed, heartbeat: float = HEARTBEAT
) -> responses.Response:
    """The stream from ``last_id`` on, of one node or (empty) of all, as long as the caller is ``allowed``: asked before each event
    and heartbeat. Problem 503 when there are too many."""
    after, foreign = _resume(source.life, last_id)
    try:
        listener, lost = source.listen(after)
    except feed.Full:
        raise problem.overloaded(f"{feed.LISTENERS} event streams are open") from None
    return _Stream(source, listener, node, reset=foreign or lost, heartbeat=heartbeat, allowed=allowed)


def _resume(life: str, last_id: str | None) -> tuple[int | None, bool]:
    """After which event to go on, and whether the id is of another life (then: from all that are kept)."""
    if not last_id:
        return None, False
    found = _ID.fullmatch(last_id)
    return (int(found[2]), False) if found and found[1] == life else (0, True)


class _Stream(responses.Response):
    """Sends until the client goes, the feed ends, or the client has fallen too far behind."""

    media_type = "text/event-stream"

    def __init__(
        self, source: feed.Feed, listener: feed.Listener, node: str, *, reset: bool, heartbeat: float, allowed: Allowed
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._source, self._listener = source, listener
        self._node, self._reset, self._heartbeat = node, reset, heartbeat
        self._allowed, self._checked = allowed, 0.0

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._listener.dropped = lambda: _drop(group.cancel_scope, scope)
                group.start_soon(self._until_gone, receive, group.cancel_scope)
                await self._write(send)
                group.cancel_scope.cancel()
        finally:
            self._source.leave(self._listener)

    async def _until_gone(self, receive: types.Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _write(self, send: types.Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _chunk(send, f"retry: {RETRY_MS}\n\n" + (self._reset_line() if self._reset else ""))
        while not self._listener.ended:
            said = await self._next()
            if not await self._still_allowed():
                break
            await _chunk(send, said)
        await send({"type": "http.response.body", "body": b""})

    async def _still_allowed(self) -> bool:
        now = anyio.current_time()
        if now - self._checked < CHECK:
            return True
        self._checked = now
        return await self._allowed()

    async def _next(self) -> str:
        """What has come since, or a heartbeat when nothing did."""
        events: list[backend.Event] = []
        with anyio.move_on_after(self._heartbeat):
            events = await self._listener.take()
        return "".join(self._line(event) for event in events if self._node in ("", event.node)) or ": still here\n\n"

    def _line(self, event: backend.Event) -> str:
        # JSON has no line breaks of its own, so that one data line holds it
        data = pydantic_core.to_json(event).decode()
        return f"id: {self._source.life}-{event.seq}\nevent: {event.kind}\ndata: {data}\n\n"

    def _reset_line(self) -> str:
        return 'event: reset\ndata: {"detail": "events were missed: read the state again"}\n\n'


def _drop(writing: anyio.CancelScope, scope: types.Scope) -> None:
    writing.cancel()
    if abort := scope.get("state", {}).get(server.ABORT):  # a polite end would wait until the client has read the rest
        abort()


async def _chunk(send: types.Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
