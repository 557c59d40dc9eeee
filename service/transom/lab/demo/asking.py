"""The daemon's API as an outsider uses it: HTTP with a token, as docs/api.md says, and the stream of events."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from transom import errors

_PATIENCE = httpx.Timeout(30.0)
_SILENCE = httpx.Timeout(30.0, read=60.0)
"""The daemon says something every 15 s."""


class Api:
    """Every method raises Unreachable without an answer, Rejected with its reason when the daemon refuses."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_PATIENCE, trust_env=False)

    def get(self, path: str, **query: str) -> Any:
        return self._send("GET", path, params=query).json()

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(path, **query)["items"]
        return found

    def markdown(self, path: str) -> str:
        return self._send("GET", path, headers={"Accept": "text/markdown"}).text

    def post(self, path: str) -> Any:
        return self._send("POST", path).json()

    def hand_in(self, name: str, text: str) -> Any:
        """Documents, with ``approve=plan``; the operation."""
        query, headers = {"approve": "plan", "name": name}, {"Content-Type": "application/yaml"}
        return self._send("POST", "/v1/documents", params=query, headers=headers, content=text).json()

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise errors.Unreachable(f"{method} {self.url}{path}: {error}") from error
        if not answer.is_success:
            raise errors.Rejected(f"{method} {path} was answered with {answer.status_code}: {answer.text}")
        return answer

    # --- events ---

    def listen(self) -> Events:
        """What happens from now on."""
        return Events(self._lines)

    def _lines(self, take: Callable[[str], None], ready: Callable[[], None]) -> None:
        with self._http.stream("GET", "/v1/events", timeout=_SILENCE) as answer:
            ready()
            for line in answer.iter_lines():
                take(line)


class Events:
    """Read by a thread of its own; ``next`` is for one reader."""

    def __init__(self, lines: Callable[[Callable[[str], None], Callable[[], None]], None]) -> None:
        self._lines = lines
        self._queue: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self._ready.wait(_PATIENCE.read)

    def next(self, seconds: float) -> Mapping[str, Any] | None:
        """The next event; None when there is none for so long. Unreachable when the stream has ended."""
        try:
            event = self._queue.get(timeout=seconds)
        except queue.Empty:
            return None
        if event is None:
            raise errors.Unreachable("the daemon's stream of events has ended")
        return event

    def _read(self) -> None:
        try:
            self._lines(self._take, self._ready.set)
        except httpx.HTTPError:
            pass  # told to the reader by the end of the queue
        finally:
            self._queue.put(None)
            self._ready.set()

    def _take(self, line: str) -> None:
        if line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if "seq" in event:  # not the `reset` that a foreign id gets
                self._queue.put(event)
