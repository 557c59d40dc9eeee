"""The daemon's API as the commands see it: found, asked, its problems turned back into the error tree."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import httpx

from transom import errors
from transom.api import place, problem
from transom.cli import common

PATIENCE = httpx.Timeout(10.0, read=300.0)
"""Previews ask nodes, which may take its time."""
_SIMULATING = httpx.Timeout(10.0, read=3600.0)
"""A node builds an initramfs meanwhile."""
POLL = 0.25
"""Seconds between two looks at an operation."""
_PIECE = 1 << 18
_UNSETTLED = ("queued", "observing", "running")


class Client:
    """One daemon. Every method raises the error of the tree that the daemon's problem stands for; Unreachable without an answer."""

    def __init__(self, found: place.Place) -> None:
        self.url = found.url
        headers = {"Authorization": f"Bearer {found.token}", "Accept": "application/json"}
        self._http = httpx.Client(
            base_url=found.url, headers=headers, timeout=PATIENCE, trust_env=found.url.startswith("https:")
        )

    def get(self, path: str, **query: str) -> Any:
        return self._ask("GET", path, query, None)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Of a list, at most as many as the daemon gives at once."""
        found: list[dict[str, Any]] = self.get(path, **query)["items"]
        return found

    def post(self, path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        return self._ask("POST", path, query, body or {})

    def text(self, path: str, media: str, **query: str) -> str:
        """An answer of another media type."""
        return self._send("GET", path, query, None, {"Accept": media}).text

    def content(self, path: str) -> bytes:
        """Bytes as they are."""
        return self._send("GET", path, {}, None, {"Accept": "*/*"}).content

    def upload(self, path: str, file: pathlib.Path, **query: str) -> Any:
        """Send a file, piece by piece."""
        wanted = {name: value for name, value in query.items() if value}
        try:
            with file.open("rb") as stream:
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
                pieces = iter(lambda: stream.read(_PIECE), b"")
                answer = self._http.post(path, params=wanted, content=pieces, headers=headers)
        except OSError as error:
            raise errors.RomError(f"{file}: {error.strerror}") from error
        except httpx.HTTPError as error:
            raise errors.Unreachable(f"the daemon at {self.url} does not answer: {error}") from error
        if not answer.is_success:
            _refuse(answer)
        return answer.json()

    def close(self) -> None:
        self._http.close()

    # --- operations ---

    def settle(self, operation: str, nodes: Sequence[str] = ()) -> dict[str, Any]:
        """Wait until no share (of ``nodes``, or of all) goes on by itself: each is done, failed, held, waits for approval, or
        waits for a node that cannot be reached."""
        while True:
            found: dict[str, Any] = self.get(f"/v1/operations/{operation}")
            shares = [share for share in found["shares"] if not nodes or share["node"] in nodes]
            if not any(share["state"] in _UNSETTLED and not _stuck(share) for share in shares):
                return found | {"shares": shares}
            time.sleep(POLL)

    def events(self) -> Iterator[dict[str, Any]]:
        """As they happen, until the daemon stops. Unreachable when the line breaks."""
        try:
            with self._http.stream("GET", "/v1/events", timeout=httpx.Timeout(10.0, read=60.0)) as answer:
                if not answer.is_success:
                    answer.read()
                    _refuse(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise errors.Unreachable(f"the events of {self.url} have ended: {error}") from error

    # --- asking ---

    def _ask(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        answer = self._send(method, path, query, body, {})
        try:
            return answer.json()
        except ValueError as error:
            raise errors.Garbled(
                f"{self.url}{path} did not answer with JSON", hint="is it a Transom daemon?"
            ) from error

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> httpx.Response:
        wanted = {name: value for name, value in query.items() if value}
        try:
            timeout = _SIMULATING if "simulate" in wanted else PATIENCE
            answer = self._http.request(method, path, params=wanted, json=body, headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise errors.Unreachable(f"the daemon at {self.url} does not answer: {error}") from error
        if not answer.is_success:
            _refuse(answer)
        return answer


def _stuck(share: Mapping[str, Any]) -> bool:
    """It was tried, and the daemon tries again by itself, some time."""
    return bool(share["state"] == "queued" and share["reason"])


def _refuse(answer: httpx.Response) -> NoReturn:
    """The error that the answer's problem stands for."""
    try:
        stands_for = problem.to_error(answer.json(), answer.status_code)
    except (ValueError, KeyError, TypeError) as error:
        raise errors.Garbled(f"{answer.url} answered {answer.status_code} without a reason") from error
    raise stands_for


# --- which daemon ----------------------------------------------------------------------------------------------------


def find(state: pathlib.Path, server: str | None) -> Client | None:
    """The daemon named by ``server``, else the one that works on ``state``; None when there is none."""
    if server:
        _check(server)
        return Client(place.Place(server.rstrip("/"), _token(state, server)))
    found = place.find(state)
    return Client(found) if found else None


def need(state: pathlib.Path, server: str | None) -> Client:
    """Rejected, with how to start one, when no daemon runs."""
    found = find(state, server)
    if found is None:
        raise errors.Unreachable(
            f"no daemon works on {state}", hint="`transom serve` starts one; --server URL asks another"
        )
    return found


def _check(server: str) -> None:
    """Unreachable when it is no address of a daemon."""
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL as error:
        raise errors.Unreachable(f"{server!r} is no address of a daemon: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise errors.Unreachable(f"{server!r} is no address of a daemon", hint="such as https://transom.example:8470")


def _answers(server: str) -> None:
    """Unreachable when nobody does: whoever has no token should not look for one then."""
    try:
        httpx.get(f"{server.rstrip('/')}/v1/status", timeout=PATIENCE.connect, trust_env=server.startswith("https:"))
    except httpx.HTTPError as error:
        raise errors.Unreachable(f"the daemon at {server} does not answer: {error}") from error


def _token(state: pathlib.Path, server: str) -> str:
    """``$TRANSOM_TOKEN``, else what ``$TRANSOM_TOKEN_FILE`` holds, else that of the daemon here when it is the one."""
    if token := os.environ.get("TRANSOM_TOKEN"):
        return token.strip()
    if file := os.environ.get("TRANSOM_TOKEN_FILE"):
        try:
            return pathlib.Path(file).read_text().strip()
        except OSError as error:
            raise errors.Denied(f"cannot read {file}: {error.strerror}") from error
    here = place.find(state)
    if here and here.url == server.rstrip("/"):
        return here.token
    _answers(server)
    raise errors.Denied(f"no token for {server}", hint="set TRANSOM_TOKEN_FILE; `transom token add` makes one there")


def given(command: Callable[..., None]) -> Callable[..., None]:
    """Hands a command its ``daemon``, from ``--state`` and ``--server``."""

    @functools.wraps(command)
    def run(*args: Any, state: pathlib.Path, server: str | None, **options: Any) -> None:
        with common.told(as_json=options.get("as_json", False)):
            found = need(state, server)
        try:
            command(*args, daemon=found, **options)
        finally:
            found.close()

    return run


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return urllib.parse.quote(name, safe="")
