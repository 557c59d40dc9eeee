"""An API that answers what a test says, and keeps what it was asked; and the access to it."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import urllib.parse
from collections.abc import Callable

import httpx
import pytest

from transom import pve
from transom.spec import wish

SECRET = "12345678-aaaa-bbbb-cccc-1234567890ab"


@dataclasses.dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    form: dict[str, list[str]]


class Api:
    """Answers by ``METHOD path`` under /api2/json: data, an httpx.Response, an exception, or a list of these in turn."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.asked: list[Asked] = []
        self.hosts: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"PVEAPIToken=transom@pve!main={SECRET}"
        assert "transfer-encoding" not in request.headers
        path = request.url.path.removeprefix("/api2/json")
        self.hosts.append(request.url.host)
        self.asked.append(
            Asked(
                request.method,
                path,
                urllib.parse.parse_qs(request.url.query.decode(), keep_blank_values=True),
                urllib.parse.parse_qs(request.content.decode(), keep_blank_values=True),
            )
        )
        answer = self.answers[f"{request.method} {path}"]
        if isinstance(answer, Turns):
            answer = answer.values.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json={"data": answer})


class Turns:
    """Answers one after the other."""

    def __init__(self, *values: object) -> None:
        self.values = list(values)


def answer(status: int, reason: str, body: str | bytes = b"") -> httpx.Response:
    content = body.encode() if isinstance(body, str) else body
    return httpx.Response(status, content=content, extensions={"reason_phrase": reason.encode()})


def refused(text: str) -> httpx.Response:
    """A 500 with ``text``, as PVE sends it."""
    return answer(500, text, json.dumps({"data": None, "message": text + "\n"}))


@pytest.fixture
def access(tmp_path: pathlib.Path) -> wish.Access:
    (tmp_path / "token").write_text(SECRET + "\n")
    return wish.Access(
        endpoints=("https://pve1:8006", "https://pve2:8006"),
        token_id="transom@pve!main",
        token_secret=wish.SecretRef(file=str(tmp_path / "token")),
        fingerprint="",
        ca="",
        ssh_host="",
        ssh_port=22,
        ssh_user="root",
        ssh_key=wish.SecretRef(env="UNUSED"),
        ssh_host_key="",
    )


@pytest.fixture
def fake() -> Api:
    return Api()


@pytest.fixture
def make_answer() -> Callable[..., httpx.Response]:
    return answer


@pytest.fixture
def make_refused() -> Callable[[str], httpx.Response]:
    return refused


@pytest.fixture
def turns() -> type[Turns]:
    return Turns


@pytest.fixture
def api(access, fake):
    with pve.connect(access, transport=httpx.MockTransport(fake)) as connection:
        yield connection
