"""The lab's API in this process, and a line to it that breaks: every way in which an answer can fail to come, before or after the
request was carried out. What was carried out is kept, so that it can be compared with what the product believes."""

from __future__ import annotations

import collections
import dataclasses
import io
import json
import random
import ssl
import urllib.parse
from collections.abc import Callable, Iterator

import httpx

from transom.lab.pve import server
from transom.lab.pve import tasks as lab_tasks


class Killed(BaseException):
    """As the daemon's process is, from outside, at any moment."""


# --- the API ---------------------------------------------------------------------------------------------------------


class Slow(lab_tasks.Tasks):
    """Tasks that do their work when somebody has asked for their end a few times: no threads, and the same at every run."""

    def __init__(self, place, rng: random.Random) -> None:
        super().__init__(place, background=False)
        self._rng = rng
        self._waiting: dict[str, tuple[int, object, object]] = {}
        self.begun: list[str] = []

    def _run(self, upid, log, work) -> None:
        self.begun.append(upid)
        self._waiting[upid] = (self._rng.randrange(4), log, work)

    def end(self, upid: str):
        if upid not in self._waiting:
            return super().end(upid)
        left, log, work = self._waiting[upid]
        if left:
            self._waiting[upid] = (left - 1, log, work)
            return None
        del self._waiting[upid]
        super()._run(upid, log, work)
        return super().end(upid)


@dataclasses.dataclass(frozen=True)
class Write:
    """A writing request that the API has carried out."""

    method: str
    path: str
    form: dict[str, str]
    upid: str

    @property
    def what(self) -> tuple[object, ...]:
        """Without the digest: the same twice is a write that was doubled."""
        return self.method, self.path, tuple(sorted((k, v) for k, v in self.form.items() if k != "digest"))


class _Connection:
    """One connection with one request, as the handler takes it."""

    def __init__(self, request: bytes) -> None:
        self._request = io.BytesIO(request)
        self.answer = bytearray()

    def makefile(self, *_: object) -> io.BytesIO:
        return self._request

    def sendall(self, data: bytes) -> None:
        self.answer += bytes(data)

    def settimeout(self, _: object) -> None:
        pass

    def shutdown(self, _: object) -> None:
        pass


class Api:
    """The lab's server without its sockets. ``writes`` are those that it carried out, oldest first."""

    def __init__(self, here) -> None:
        self._handler = type("InProcess", (server.Handler,), {"here": here, "timeout": None})
        self.writes: list[Write] = []
        self.before_write: Callable[[httpx.Request], None] = lambda _: None

    def answer(self, request: httpx.Request) -> tuple[int, str, dict[str, str], bytes]:
        """Status, reason, headers, body."""
        if request.method != "GET":
            self.before_write(request)
        lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        body = request.read()
        connection = _Connection("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        self._handler(connection, ("127.0.0.1", 0), None)
        status, reason, headers, content = _parsed(bytes(connection.answer))
        if request.method != "GET" and status < 400:
            form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
            data = json.loads(content)["data"]
            self.writes.append(Write(request.method, request.url.path, form, data or ""))
        return status, reason, headers, content


def _parsed(raw: bytes) -> tuple[int, str, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    _, status, reason = first.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status), reason, headers, body


# --- the line --------------------------------------------------------------------------------------------------------


class _Body(httpx.SyncByteStream):
    """A body that comes in pieces, the last of which may be an error."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def _plain(status: int, reason: str, body: bytes) -> httpx.Response:
    return httpx.Response(status, content=body, extensions={"reason_phrase": reason.encode()})


def _message(status: int, text: str) -> httpx.Response:
    return _plain(status, text, json.dumps({"data": None, "message": f"{text}\n"}).encode())


def _certificate() -> httpx.ConnectError:
    error = httpx.ConnectError("certificate verify failed")
    cause = ssl.SSLCertVerificationError(1, "self-signed certificate")
    cause.verify_message = "self-signed certificate"  # as OpenSSL sets it
    error.__cause__ = cause
    return error


# Instead of asking: nothing is carried out.
BEFORE: dict[str, Callable[[], httpx.Response | BaseException]] = {
    "refused": lambda: httpx.ConnectError("Connection refused"),
    "no route": lambda: httpx.ConnectTimeout("timed out"),
    "wrong certificate": _certificate,
    "dropped before": lambda: httpx.RemoteProtocolError("Server disconnected without sending a response."),
    "reset before": lambda: httpx.ReadError("Connection reset by peer"),
    "broken pipe": lambda: httpx.WriteError("Broken pipe"),
    "delay before": lambda: httpx.ReadTimeout("timed out"),
    "595": lambda: _plain(595, "Connection refused", b""),
    "596 before": lambda: _plain(596, "tls_process_server_certificate: certificate verify failed", b""),
    "503": lambda: _plain(503, "Service Unavailable", b"<html>busy</html>"),
    "401": lambda: _plain(401, "permission denied - invalid PVE ticket", b""),
    "got timeout": lambda: _message(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"),
    "killed before": Killed,
}
Answered = tuple[int, str, dict[str, str], bytes]
# In place of the answer: whatever was asked for has been carried out.
AFTER: dict[str, Callable[[Answered], httpx.Response | BaseException]] = {
    "dropped after": lambda _: httpx.RemoteProtocolError("Server disconnected without sending a response."),
    "reset after": lambda _: httpx.ReadError("Connection reset by peer"),
    "delay after": lambda _: httpx.ReadTimeout("timed out"),
    "596 after": lambda _: _plain(596, "Connection timed out", b""),
    "504": lambda _: _plain(504, "Gateway Time-out", b"<html></html>"),
    "truncated": lambda got: _plain(got[0], got[1], got[3][: len(got[3]) // 2]),
    "short": lambda got: httpx.Response(got[0], stream=_Body(got[3][:3], httpx.RemoteProtocolError("incomplete body"))),
    "reset in the body": lambda got: httpx.Response(got[0], stream=_Body(got[3][:5], httpx.ReadError("reset by peer"))),
    "slow loris": lambda got: httpx.Response(
        got[0], stream=_Body(*(got[3][at : at + 1] for at in range(4)), httpx.ReadTimeout("timed out"))
    ),
    "not JSON": lambda got: _plain(got[0], "OK", b"<html>It works!</html>"),
    "empty": lambda got: _plain(got[0], "OK", b""),
    "no data": lambda got: _plain(got[0], "OK", b'{"data":null}'),
    "nonsense": lambda got: _plain(got[0], "OK", b'{"data":{"status":7,"upid":[]}}'),
    "redirected": lambda _: _plain(302, "Found", b""),
    "killed after": lambda _: Killed(),
}
KINDS = (*BEFORE, *AFTER)


class Line(httpx.BaseTransport):
    """Breaks as its seed says, while ``left`` of its faults are. Writes are hit more often than reads."""

    def __init__(self, api: Api, rng: random.Random) -> None:
        self._api, self._rng = api, rng
        self.left = 0
        self.seen: collections.Counter[str] = collections.Counter()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        odds = 0.25 if request.method == "GET" else 0.7
        if self.left <= 0 or self._rng.random() > odds:
            return self._said(self._api.answer(request), request)
        self.left -= 1
        kind = self._rng.choice(KINDS)
        self.seen[kind] += 1
        said = BEFORE[kind]() if kind in BEFORE else AFTER[kind](self._api.answer(request))
        if isinstance(said, httpx.RequestError):
            said.request = request
        if isinstance(said, BaseException):
            raise said
        return said

    def _said(self, got: Answered, request: httpx.Request) -> httpx.Response:
        status, reason, headers, body = got
        headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        return httpx.Response(
            status, headers=headers, content=body, request=request, extensions={"reason_phrase": reason.encode()}
        )
