"""uvicorn around the application, with time limits that it lacks: for clients that send slowly, and for those that do not read."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import pathlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette import applications
from uvicorn.protocols.http import h11_impl

from transom import errors

ABORT = "abort"
"""In a scope's ``state``: cuts the connection without waiting for what is unsent."""
HEADERS = 10.0
"""Seconds for a request's line and headers to arrive."""
UNREAD = 30.0
"""Seconds that a client may leave what it was sent unread."""
CONNECTIONS = 1024
GOODBYE = 5
"""Seconds for requests under way when the server stops."""
HEADER_BYTES = 32 * 1024


class _Protocol(h11_impl.H11Protocol):
    """uvicorn's own, with two deadlines on every connection."""

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, ABORT: transport.abort}
        self._reading = self.loop.call_later(HEADERS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy() and self._reading:
            self._reading.cancel()
            self._reading = None
        elif not self._busy() and not self._reading and not self.transport.is_closing():
            # the next request of this connection has begun to come
            self._reading = self.loop.call_later(HEADERS, self.transport.abort)

    def _busy(self) -> bool:
        """Whether the headers of a request are complete and its answer is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self._writing or self.loop.call_later(UNREAD, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing:
            self._writing.cancel()
            self._writing = None

    def _cancel(self) -> None:
        for timer in (self._reading, self._writing):
            if timer:
                timer.cancel()
        self._reading = self._writing = None


@dataclasses.dataclass(frozen=True)
class Listen:
    """Where to listen. Without TLS only on loopback, unless ``insecure``: tokens go over the line."""

    host: str
    port: int
    certificate: pathlib.Path | None = None
    key: pathlib.Path | None = None
    insecure: bool = False

    @property
    def tls(self) -> bool:
        return self.certificate is not None


class Server:
    """A running server, in a thread of its own so that the main thread keeps the signals. ``ending`` is called when it stops: it
    ends the streams, which would not end by themselves."""

    def __init__(self, app: applications.Starlette, listen: Listen, *, ending: Callable[[], None]) -> None:
        check(listen)
        self._server = uvicorn.Server(_config(app, listen))
        self._socket = _bind(listen)
        self._ending = ending
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)
        host, port = self._socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if listen.tls else 'http'}://{shown}:{port}"

    def start(self) -> None:
        """Connections are taken from now on: the socket listens already."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """No new requests; those under way get ``GOODBYE`` seconds."""
        self._server.should_exit = True
        self._ending()
        self._thread.join(GOODBYE + 5)


def check(listen: Listen) -> None:
    """Rejected for a place beyond loopback without TLS."""
    if not (listen.tls or listen.insecure or _is_loopback(listen.host)):
        raise errors.Rejected(
            f"{listen.host} is not loopback, and without TLS tokens could be read on the way",
            hint="give --tls-cert and --tls-key, put a proxy with TLS in front of loopback, or insist with --insecure",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        found = socket.create_server((listen.host, listen.port), family=family, backlog=128)
    except OSError as error:
        raise errors.Rejected(
            f"cannot listen on {listen.host} port {listen.port}: {error.strerror or error}",
            hint="choose another with --listen",
        ) from error
    # asyncio does so only for sockets that name their protocol; without it head and body of an answer are 40 ms apart
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _config(app: applications.Starlette, listen: Listen) -> uvicorn.Config:
    more: dict[str, Any] = {}
    if listen.certificate:
        more = {"ssl_certfile": listen.certificate, "ssl_keyfile": listen.key}
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GOODBYE,
        h11_max_incomplete_event_size=HEADER_BYTES,
        **more,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise errors.Rejected(f"cannot use {listen.certificate} and {listen.key}: {error}") from error
    return config
