"""What a slow, broken or hostile client costs: nothing comes out but a problem, and nobody else waits."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
import time
from typing import Any

import httpx
import pytest

from patience import PATIENCE, until
from transom import errors
from transom.api import auth, body, server

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        (JSON, b"{", 400),
        (JSON, b"[" * 100_000, 400),
        (JSON, b'{"approve": NaN}', 400),
        (JSON, b'{"files": [], "files": []}', 400),
        (JSON, b"\xff\xfe", 400),
        (JSON, b'"text"', 400),
        (JSON, b'{"aprove": "plan"}', 400),
        (JSON, b'{"approve": true}', 400),
        (JSON, b'{"documents": [1]}', 400),
        (JSON, b'{"files": [{"name": "", "text": ""}]}', 400),
        (JSON, b'{"documents": [{"kind": "Node\\u0000"}]}', 422),
        (YAML, b"", 422),
        (YAML, b"\x00", 422),
        (YAML, b"a: &a [*a]", 422),
        (YAML, b"- " * 5000, 422),
        (YAML, b"kind: Node\n---\nkind: [", 422),
        (YAML | {"Content-Encoding": "gzip"}, b"x", 415),
        ({"Content-Type": "text/html"}, b"x", 415),
        ({}, b"x", 415),
    ],
)
def test_wrong_bodies(api, headers, content, status):
    answer = api.operator.post("/v1/documents", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["type"].startswith("urn:transom:problem:")
    assert api.daemon.documents() == []


def test_aliases_that_would_make_billions_are_refused(api):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.monotonic()
    answer = api.operator.post("/v1/documents", content="\n".join(lines), headers=YAML)
    assert answer.status_code == 422
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "query", ["aprove=plan", "approve=yes", "approve=plan&approve=plan", "name=" + "x" * 1001, "limit=1", "%00=1"]
)
def test_queries_are_strict(api, query):
    answer = api.approver.post(f"/v1/documents?{query}", content="", headers=YAML)
    assert answer.status_code == 400
    assert api.daemon.ops == {}


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1e2", "²", "9" * 50, ""])
def test_limits_are_numbers_in_range(api, limit):
    assert api.viewer.get("/v1/plans", params={"limit": limit}).status_code == 400


def test_a_body_that_is_announced_too_large_is_not_read(api):
    head = f"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\nContent-Length: {body.LIMIT + 1}\r\n"
    assert b" 413 " in _raw(api, head + _authorization(api) + "\r\n")


def test_a_body_without_an_announced_size_is_cut(api):
    def chunks():
        for _ in range(body.LIMIT // 65536 + 2):
            yield b"#" * 65536

    try:
        answer = api.operator.post("/v1/documents", content=chunks(), headers=YAML)
    except httpx.WriteError:
        return  # the server had closed while we were still sending: as good
    assert answer.status_code == 413


def test_who_is_not_known_cannot_send_a_body(api):
    head = "POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert b" 401 " in _raw(api, head)


def test_a_mistake_of_ours_shows_nothing_of_the_inside(api, caplog):
    def fail() -> None:
        raise ZeroDivisionError("the secret is 42")

    api.daemon.fail = fail
    answer = api.viewer.get("/v1/status")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:transom:problem:internal")
    assert "42" not in answer.text
    assert "Traceback" not in answer.text
    until(lambda: "the secret is 42" in caplog.text)  # the log is written after the answer


@pytest.mark.parametrize(
    ("error", "status", "retry", "after"),
    [
        (errors.SpecError(["a: b", "c: d"]), 422, "never", None),
        (errors.Rejected("no"), 409, "never", None),
        (errors.Void("other facts"), 409, "replan", None),
        (errors.Busy("locked"), 409, "soon", "5"),
        (errors.Denied("wrong key"), 403, "never", None),
        (errors.Unreachable("no route"), 502, "later", "30"),
        (errors.Garbled("cut off"), 502, "later", "30"),
        (errors.VerifyFailed("differs"), 500, "never", None),
        (errors.RomError("no GOP"), 422, "never", None),
        (errors.SandboxError("no walls"), 500, "never", None),
        (errors.TransomError("other"), 500, "never", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_of_the_tree(api, error, status, retry, after):
    def fail() -> None:
        raise error

    api.daemon.fail = fail
    answer = api.viewer.get("/v1/status")
    assert (answer.status_code, answer.json()["retry"], answer.headers.get("retry-after")) == (status, retry, after)
    rows = [dataclasses.asdict(row) for row in getattr(error, "rows", ())]
    assert answer.json().get("problems", []) == rows


def test_nodes_that_hang_keep_only_their_own_requests(api):
    api.provision()
    hanging = threading.Event()
    began = threading.Semaphore(0)

    def hang() -> None:
        began.release()
        hanging.wait(PATIENCE)

    api.daemon.fail = hang
    asking = [threading.Thread(target=httpx.get, args=(f"{api.url}/v1/nodes/pve1/facts",), kwargs={
        "headers": dict(api.viewer.headers), "timeout": PATIENCE}) for _ in range(12)]  # fmt: skip
    for thread in asking:
        thread.start()
    for _ in range(8):
        assert began.acquire(timeout=PATIENCE)
    assert api.viewer.get("/v1/plans").status_code == 200
    assert api.viewer.get("/healthz").status_code == 200
    hanging.set()
    for thread in asking:
        thread.join(PATIENCE)


# --- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nHost:", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /h"]
)
def test_headers_that_do_not_come_are_not_waited_for(api, monkeypatch, sent):
    monkeypatch.setattr(server, "HEADERS", 0.3)
    with _connected(api) as line:
        line.sendall(sent)
        assert _until_closed(line) < 6


def test_a_body_that_does_not_come_is_408(api, monkeypatch):
    monkeypatch.setattr(body.read, "__kwdefaults__", {"limit": body.LIMIT, "patience": 0.3})
    head = "POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\nContent-Length: 10\r\n"
    assert b" 408 " in _raw(api, head + _authorization(api) + "\r\nkind")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"\r\n" * 40000, b"X" * 100_000])
def test_what_is_no_http_is_sent_away(api, sent):
    with _connected(api) as line:
        try:
            line.sendall(sent)
            _until_closed(line)
        except ConnectionError:
            pass  # cut while we were sending
    assert api.viewer.get("/healthz").status_code == 200


def test_a_client_that_does_not_read_is_cut(api, monkeypatch):
    usual = server.UNREAD
    monkeypatch.setattr(server, "UNREAD", 0.5)
    asked = threading.Event()

    def much() -> dict[str, Any]:
        asked.set()
        return {"paused": False, "much": "x" * 30_000_000}

    api.daemon.status = much
    with _connected(api, small=True) as line:
        line.sendall(f"GET /v1/status HTTP/1.1\r\nHost: x\r\n{_authorization(api)}\r\n".encode())
        assert asked.wait(PATIENCE)
        began = time.monotonic()
        # the line itself does not tell before it is read
        until(lambda: not api.server._server.server_state.connections)
        assert time.monotonic() - began < usual
        assert _drain(line) < 30_000_000


def _authorization(api) -> str:
    return f"Authorization: {api.headers(auth.Scope.ADMIN)['Authorization']}\r\n"


def _connected(api, *, small: bool = False) -> socket.socket:
    url = httpx.URL(api.url)
    line = socket.socket()
    if small:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(10)
    line.connect((url.host, url.port))
    return line


def _raw(api, text: str) -> bytes:
    with _connected(api) as line:
        line.sendall(text.encode())
        return line.recv(65536).partition(b"\r\n")[0]


def _until_closed(line: socket.socket) -> float:
    began = time.monotonic()
    _drain(line)
    return time.monotonic() - began


def _drain(line: socket.socket) -> int:
    count = 0
    try:
        while data := line.recv(65536):
            count += len(data)
    except ConnectionError:
        pass
    return count


# --- where it listens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_beyond_loopback_only_with_tls_or_insistence(host):
    with pytest.raises(errors.Rejected, match="not loopback"):
        server.check(server.Listen(host, 0))
    server.check(server.Listen(host, 0, insecure=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_nothing(host):
    server.check(server.Listen(host, 0))


def test_a_port_that_is_taken_is_a_clear_error(api):
    with pytest.raises(errors.Rejected, match=r"cannot listen on 127.0.0.1 port \d+: Address already in use"):
        server.Server(None, server.Listen("127.0.0.1", httpx.URL(api.url).port), ending=lambda: None)


def test_a_certificate_that_is_none_is_a_clear_error(tmp_path):
    (tmp_path / "x.pem").write_text(json.dumps("nothing"))
    with pytest.raises(errors.Rejected, match="cannot use"):
        server.Server(None, server.Listen("127.0.0.1", 0, tmp_path / "x.pem", tmp_path / "x.pem"), ending=lambda: None)


def test_answers_are_not_held_back(api):
    """Head and body are two writes; with Nagle's algorithm the second waits for an acknowledgement that is delayed by 40 ms."""
    took = []
    for _ in range(20):
        began = time.monotonic()
        api.viewer.get("/healthz")
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < 0.035
