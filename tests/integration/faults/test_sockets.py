"""The client over real sockets and TLS that break: every failure is one of the tree, in time, and says truly whether the write may
have been carried out."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import socket
import ssl
import struct
import threading
import time

import httpx
import pytest

from transom import errors
from transom.lab.pve import certificate
from transom.pve import client

FAULTS = min(int(os.environ.get("TRANSOM_FAULTS", "400")), 4000) // 4
LIMIT = 0.3
QUICK = (
    "none",
    "no handshake",
    "closed before",
    "closed after",
    "reset in the body",
    "short",
    "garbage",
    "truncated head",
)
SLOW = ("silent", "slow loris", "silent handshake")
CONF = "memory: 512\nname: vm\n"


class Proxy:
    """Listens on loopback; each connection fails as ``kind`` says, or carries one request to ``api``."""

    def __init__(self, api, folder) -> None:
        self._api = api
        self.kind = "none"
        self._contexts = [_context(folder / name) for name in ("right", "wrong")]
        self.fingerprint = certificate.fingerprint(folder / "right" / "pveproxy-ssl.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname(), 1).close()
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            plain, _ = self._listener.accept()
            if self._stopped.is_set():
                plain.close()
                return
            with contextlib.suppress(OSError), plain:
                plain.settimeout(5)
                self._connection(plain, self.kind)

    def _connection(self, plain: socket.socket, kind: str) -> None:
        if kind == "no handshake":
            return
        if kind == "silent handshake":
            time.sleep(LIMIT * 1.5)
            return
        context = self._contexts[kind == "wrong certificate"]
        with context.wrap_socket(plain, server_side=True) as tls:
            request = _read(tls)
            if request is None or kind == "closed before":
                return
            status, reason, headers, body = self._api.answer(request)
            if kind == "slow loris":
                headers["Content-Length"] = "1000000"
            head = f"HTTP/1.1 {status} {reason}\r\n".encode()
            head += b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()) + b"\r\n"
            _answer(tls, kind, head, body)


def _answer(tls: ssl.SSLSocket, kind: str, head: bytes, body: bytes) -> None:
    if kind == "none":
        tls.sendall(head + body)
    elif kind == "short":
        tls.sendall(head + body[:-1])
    elif kind == "truncated head":
        tls.sendall(head[:30])
    elif kind == "garbage":
        tls.sendall(b"\x00\xff\x16\x03 220 smtp ready\r\n\r\n")
    elif kind == "silent":
        time.sleep(LIMIT * 1.5)
    elif kind == "reset in the body":
        tls.sendall(head + body[:4])
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif kind == "slow loris":
        tls.sendall(head)
        while True:  # each piece in time, the whole never: until the client hangs up
            tls.sendall(b" ")
            time.sleep(LIMIT * 0.7)


def _read(tls: ssl.SSLSocket) -> httpx.Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = tls.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers.get("Content-Length", "0")):
        body += tls.recv(65536)
    method, path, _ = first.split(" ")
    headers.pop("Connection", None)
    return httpx.Request(method, f"https://127.0.0.1{path}", headers=headers, content=body)


def _context(folder) -> ssl.SSLContext:
    folder.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.ensure(folder, "pve1"))
    return context


@pytest.fixture
def proxy(bench, tmp_path):
    one = bench(1)
    one.declare(memory=512, cpu="host")
    one.here.place.config(900).write_text(CONF)
    made = Proxy(one.api, tmp_path)
    try:
        yield one, made
    finally:
        made.close()


def test_every_failure_is_told_in_time_and_truly(proxy):
    one, line = proxy
    access = one.wish().access
    access = type(access)(**{**vars(access), "endpoints": (line.url,), "fingerprint": line.fingerprint})
    rng, seen, memory, well = random.Random(7), collections.Counter(), 512, 0
    with client.Connector().connect(access, timeout=LIMIT) as api:
        for number in range(FAULTS):
            kinds = ("wrong certificate", *QUICK) if number % 12 else SLOW
            line.kind = kind = rng.choice(kinds)
            seen[kind] += 1
            done, memory, began = len(one.api.writes), memory + 1, time.monotonic()
            said = _update(api, one, memory)
            carried = len(one.api.writes) - done
            assert carried <= 1, kind
            assert said is not None or kind == "none", kind  # a busy machine may be late with a good answer, too
            well += said is None
            if said is not None:
                assert carried == 0 or said.unsure, (kind, said)
            assert time.monotonic() - began < 20 * LIMIT
    assert well
    assert set(seen) == {"wrong certificate", *QUICK, *SLOW}


def _update(api, one, memory: int) -> errors.TransomError | None:
    try:
        api.update("pve1", 900, digest=one.here.digest(900), values={"memory": str(memory)})
    except errors.TransomError as error:
        return error
    return None
