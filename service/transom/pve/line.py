"""HTTP to one cluster: endpoints in order, one try for each, a limit for time and size, answers read whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from transom import errors
from transom.pve import tls, translate
from transom.spec import wish

_ANSWER_LIMIT = 32 << 20
_IDLE = 4.0
"""Seconds that an idle connection is kept; pveproxy closes after 5."""
_NODE_DOWN = 595
"""The endpoint could not connect to the node that is asked; another endpoint may, or may be that node."""
_NO_ANSWER = 596
"""It got no answer from that node in time."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What proxmoxer looks at. ``reason`` is PVE's text: the body's message, or else the status line's phrase."""

    status_code: int
    reason: str
    content: bytes = dataclasses.field(repr=False)
    url: str
    date: str = ""
    """The server's clock, as HTTP writes it."""

    @property
    def text(self) -> str:
        """The body, whatever it is."""
        return self.content.decode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Request:
    """One request; ``path`` begins with ``/api2/json``. What it carries is never shown."""

    method: str
    path: str
    data: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False)
    params: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"


class Line:
    """The endpoint that answered last is asked first, one that has just lost a request last: its fate is asked another way.

    Thread-safe; raises what httpx raises, and Garbled.
    """

    def __init__(
        self, access: wish.Access, timeout: float, transport: httpx.BaseTransport | None, now: Callable[[], float]
    ) -> None:
        if not access.endpoints:
            raise errors.Denied("no endpoint of the API is given")
        for endpoint in access.endpoints:
            if not endpoint.startswith("https://"):
                raise errors.Denied(f"{endpoint}: credentials are sent over https only")
        self._endpoints = tuple(endpoint.rstrip("/") for endpoint in access.endpoints)
        self._first = 0
        self._now = now
        self._total = 2 * timeout
        self._client = httpx.Client(
            transport=transport or _transport(access),
            timeout=httpx.Timeout(timeout, connect=min(10.0, timeout)),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._client.close()

    def send(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """One answer, of whatever status. Another endpoint is asked when this one surely has not carried out anything: no
        connection was made, or a read could not be handed on. Never past a certificate that is refused."""
        count = len(self._endpoints)
        # A single one is tried twice: about one handshake in 60,000 fails when pveproxy replaces a worker.
        order = [(self._first + step) % count for step in range(max(count, 2))]
        for at in order[:-1]:
            try:
                answer = self._send(at, request, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if translate.certificate_error(error) is not None:
                    raise
                continue
            if answer.status_code != _NODE_DOWN or request.writes or count == 1:
                return answer
        return self._send(order[-1], request, headers)

    def _send(self, at: int, request: Request, headers: Mapping[str, str]) -> Answer:
        deadline = self._now() + self._total
        full = self._endpoints[at] + request.path
        # `or None`: an empty mapping would still send a query or a body, and PVE answers 501 to a DELETE with a body.
        data, params = request.data or None, request.params or None
        try:
            with self._client.stream(request.method, full, data=data, params=params, headers=headers) as response:
                content = self._collect(response, deadline)
        except httpx.TransportError:
            self._first = (at + 1) % len(self._endpoints)
            raise
        self._first = (at + (response.status_code == _NO_ANSWER)) % len(self._endpoints)
        self._client.cookies.clear()
        where = f"{request.method} {full}"
        if not 200 <= response.status_code < 300 and response.status_code < 400:
            raise errors.Garbled(f"{where}: status {response.status_code} is none of PVE's")
        reason = _reason(response.reason_phrase, content)
        return Answer(response.status_code, reason, content, where, response.headers.get("date", ""))

    def _collect(self, response: httpx.Response, deadline: float) -> bytes:
        """The body; httpx limits only the wait for each piece, which a dripping server never exceeds."""
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > _ANSWER_LIMIT:
                raise errors.Garbled(f"{response.request.url}: an answer of more than {_ANSWER_LIMIT} bytes")
            if self._now() > deadline:
                raise httpx.ReadTimeout("the answer takes too long", request=response.request)
        return bytes(content)


def parse(content: bytes) -> Any:
    """The body as JSON; None when it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _reason(phrase: str, content: bytes) -> str:
    body = parse(content)
    message = body.get("message") if isinstance(body, dict) else None
    return message.strip() if isinstance(message, str) and message.strip() else phrase


def _transport(access: wish.Access) -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=_IDLE)
    return httpx.HTTPTransport(verify=tls.context(access), limits=limits)
