"""What proxmoxer sends through: who asks, whose turn it is to write, which reads are tried again, answers read strictly."""

from __future__ import annotations

import logging
import re
from collections.abc import Hashable, Mapping
from typing import Any

import httpx

from transom import errors
from transom.pve import line, login, outside, translate

_READS = 3
"""Tries of a read whose connection broke. What writes is sent once."""
_PAUSE = 0.5
"""Seconds at most before the last of them."""
_LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""A kept connection that the server was just closing, or a worker that was replaced: reading again does no harm."""
_NODE = re.compile(r"/api2/json/nodes/([^/]+)")

# proxmoxer logs the data of every request at INFO and every answer at DEBUG, passwords included.
logging.getLogger("proxmoxer.core").addFilter(lambda record: record.levelno >= logging.WARNING)


class Serializer:
    """Reads answers for proxmoxer; its own hands bad JSON on as if it were data, this one raises Garbled."""

    def loads(self, answer: line.Answer) -> Any:
        """The ``data`` of a 2xx answer."""
        body = line.parse(answer.content)
        if not isinstance(body, dict) or "data" not in body:
            raise errors.Garbled(f"{answer.url}: {answer.status_code} without JSON data: {answer.text[:80]!r}")
        return body["data"]

    def loads_errors(self, answer: line.Answer) -> Any:
        """The map of parameters to reasons of an answer from 400 up, None without one."""
        body = line.parse(answer.content)
        return body.get("errors") if isinstance(body, dict) else None


class Session:
    """Sends for proxmoxer as one user; URLs are paths. Thread-safe."""

    def __init__(
        self, wire: line.Line, who: login.Login, cluster: Hashable, turns: outside.Turns, world: outside.Outside
    ) -> None:
        self._line = wire
        self._who = who
        self._cluster = cluster
        self._turns = turns
        self._world = world

    @property
    def user(self) -> str:
        """``user@realm``, with ``!name`` for a token."""
        return self._who.user

    @property
    def remedy(self) -> str:
        """What to look at when the login is refused."""
        return self._who.remedy

    def request(
        self, method: str, url: str, data: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> line.Answer:
        """One request. Unreachable, Denied (certificate, login) or Garbled; an answer from 400 up is returned, proxmoxer
        raises it."""
        request = line.Request(method, url, data, params)
        if not request.writes:
            return self._read(request)
        node = _NODE.match(url)
        with self._turns.writing(self._cluster, node[1] if node else ""):
            return self._as_user(request)

    def _read(self, request: line.Request) -> line.Answer:
        for again in range(_READS):
            try:
                return self._as_user(request)
            except errors.Unreachable as error:
                if again + 1 == _READS or not isinstance(error.__cause__, _LOST):
                    raise
            if again:
                self._world.sleep(_PAUSE * (0.5 + 0.5 * self._world.chance()))
        raise AssertionError("the last try returns or raises")

    def _as_user(self, request: line.Request) -> line.Answer:
        """The answer to the user's request. A 401 to an old ticket is no answer: nothing was done, so that a new one may ask."""
        headers = self._who.headers(self._post, writes=request.writes)
        answer = self._send(request, headers, writes=request.writes)
        if answer.status_code != 401 or not self._who.refused(headers):
            return answer
        headers = self._who.headers(self._post, writes=request.writes)
        return self._send(request, headers, writes=request.writes)

    def _post(self, form: Mapping[str, str]) -> tuple[int, bytes]:
        # A login that was lost has changed nothing: no reason to read first.
        answer = self._send(line.Request("POST", "/api2/json/access/ticket", form), {}, writes=False)
        return answer.status_code, answer.content

    def _send(self, request: line.Request, headers: Mapping[str, str], *, writes: bool) -> line.Answer:
        try:
            return self._line.send(request, headers)
        except httpx.RequestError as error:
            raise translate.from_line(error, f"{request.method} {error.request.url}", writes=writes) from error
