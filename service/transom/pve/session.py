"""HTTP under proxmoxer: endpoints in order, a limit for time and size, one try for what writes, answers read strictly."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from transom import errors
from transom.pve import tls, token, translate
from transom.spec import wish

_ANSWER_LIMIT = 32 << 20
_WRITERS = 2
"""Writing calls under way at once on one session: pveproxy has three workers, and people use it, too."""
_IDLE = 4.0
"""Seconds that an idle connection is kept; pveproxy closes after 5."""

# proxmoxer logs the data of every request at INFO and every answer at DEBUG, passwords included.
logging.getLogger("proxmoxer.core").addFilter(lambda record: record.levelno >= logging.WARNING)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What proxmoxer looks at. ``reason`` is PVE's text: the body's message, or else the status line's phrase."""

    status_code: int
    reason: str
    content: bytes
    url: str

    @property
    def text(self) -> str:
        """The body, whatever it is."""
        return self.content.decode("utf-8", "replace")


class Serializer:
    """Reads answers for proxmoxer; its own hands bad JSON on as if it were data, this one raises Garbled."""

    def loads(self, answer: Answer) -> Any:
        """The ``data`` of a 2xx answer."""
        body = _json(answer.content)
        if not isinstance(body, dict) or "data" not in body:
            raise errors.Garbled(f"{answer.url}: {answer.status_code} without JSON data: {answer.text[:80]!r}")
        return body["data"]

    def loads_errors(self, answer: Answer) -> Any:
        """The map of parameters to reasons of an answer from 400 up, None without one."""
        body = _json(answer.content)
        return body.get("errors") if isinstance(body, dict) else None


class Session:
    """Sends for proxmoxer; URLs are paths, and the endpoint that was reached last is asked first. Thread-safe."""

    def __init__(self, access: wish.Access, timeout: float, transport: httpx.BaseTransport | None) -> None:
        if not access.endpoints:
            raise errors.Denied("no endpoint of the API is given")
        for endpoint in access.endpoints:
            if not endpoint.startswith("https://"):
                raise errors.Denied(f"{endpoint}: the token is sent over https only")
        authorization = token.header(access)
        self._endpoints = tuple(endpoint.rstrip("/") for endpoint in access.endpoints)
        self._first = 0
        self._total = 2 * timeout
        self._writers = threading.BoundedSemaphore(_WRITERS)
        self._client = httpx.Client(
            transport=transport or _transport(access),
            headers={"Authorization": authorization},
            timeout=httpx.Timeout(timeout, connect=min(10.0, timeout)),
            trust_env=False,
        )

    def request(
        self, method: str, url: str, data: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> Answer:
        """One request. Unreachable, Denied (certificate) or Garbled; an answer from 400 up is returned, proxmoxer raises it."""
        writes = method != "GET"
        try:
            if writes:
                with self._writers:
                    return self._anywhere(method, url, data, params)
            return self._read(url, params)
        except httpx.RequestError as error:
            raise translate.from_line(error, f"{method} {error.request.url}", writes=writes) from error

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def _read(self, url: str, params: Mapping[str, Any] | None) -> Answer:
        try:
            return self._anywhere("GET", url, None, params)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            # A kept connection that the server was just closing, or a worker that was replaced: reading twice does no harm.
            return self._anywhere("GET", url, None, params)

    def _anywhere(
        self, method: str, url: str, data: Mapping[str, Any] | None, params: Mapping[str, Any] | None
    ) -> Answer:
        count = len(self._endpoints)
        # A single one is tried twice: about one handshake in 60,000 fails when pveproxy replaces a worker.
        order = [(self._first + step) % count for step in range(max(count, 2))]
        for at in order[:-1]:
            try:
                return self._send(at, method, url, data, params)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                # Nothing has been sent, so that another one may be asked; but not past a certificate that is refused.
                if translate.certificate_error(error) is not None:
                    raise
        return self._send(order[-1], method, url, data, params)

    def _send(
        self, at: int, method: str, url: str, data: Mapping[str, Any] | None, params: Mapping[str, Any] | None
    ) -> Answer:
        deadline = time.monotonic() + self._total
        full = self._endpoints[at] + url
        # `or None`: an empty mapping would still send a query or a body, and PVE answers 501 to a DELETE with a body.
        with self._client.stream(method, full, data=data or None, params=params or None) as response:
            self._first = at
            content = _collect(response, deadline)
        if not 200 <= response.status_code < 300 and response.status_code < 400:
            raise errors.Garbled(f"{method} {full}: status {response.status_code} is none of PVE's")
        return Answer(response.status_code, _reason(response.reason_phrase, content), content, f"{method} {full}")


def _collect(response: httpx.Response, deadline: float) -> bytes:
    """The body; httpx limits only the wait for each piece, which a dripping server never exceeds."""
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) > _ANSWER_LIMIT:
            raise errors.Garbled(f"{response.request.url}: an answer of more than {_ANSWER_LIMIT} bytes")
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer takes too long", request=response.request)
    return bytes(content)


def _reason(phrase: str, content: bytes) -> str:
    body = _json(content)
    message = body.get("message") if isinstance(body, dict) else None
    return message.strip() if isinstance(message, str) and message.strip() else phrase


def _json(content: bytes) -> Any:
    """The parsed body; None when it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _transport(access: wish.Access) -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=_IDLE)
    return httpx.HTTPTransport(verify=tls.context(access), limits=limits)
