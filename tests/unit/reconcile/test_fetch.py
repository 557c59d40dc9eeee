"""Files from the web: whole, by their hash, gone on with where they broke off. A real server on loopback."""

from __future__ import annotations

import hashlib
import http.server
import itertools
import threading
from collections.abc import Iterator

import pytest

from transom import errors
from transom.reconcile import fetch

DATA = bytes(range(256)) * 400
PARTS = {"/breaks": 30_000, "/drips": 1}
SHA = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """``/whole`` knows no ranges, ``/breaks`` ends after 30,000 bytes each time, ``/drips`` after one; ``/loop`` redirects to
    itself, ``/file`` to a file."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))
        path = self.path.partition("?")[0]
        if path in ("/loop", "/file"):
            self.send_response(302)
            self.send_header("Location", "/loop" if path == "/loop" else "file:///etc/hostname")
            self.end_headers()
        elif path in ("/404", "/503"):
            self.send_error(int(path[1:]))
        else:
            self._send(path)

    def _send(self, path: str) -> None:
        start = 0
        if path in PARTS and (given := self.headers.get("Range")):
            start = int(given.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        self.wfile.write(DATA[start : start + PARTS.get(path, len(DATA))])

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    asked: list[str | None]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.asked = []
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    partial = tmp_path / "partial"

    def get(path: str, *, sha256: str = SHA, limit: int = 1 << 20, begun: bytes = b"", step: float = 0.0) -> bytes:
        """``step``: seconds that pass with each chunk."""
        clock = itertools.count(0.0, step).__next__
        if begun:
            partial.write_bytes(begun)
        url = f"http://127.0.0.1:{server.server_port}{path}"
        fetch.fetch(
            url, sha256, partial, limit=limit, progress=lambda done, total: get.told.append((done, total)), clock=clock
        )
        return partial.read_bytes()

    get.told = []
    get.partial = partial
    return get


def test_the_whole_comes_with_progress(get):
    assert get("/whole") == DATA
    assert get.told[-1] == (len(DATA), len(DATA))


def test_what_breaks_off_is_gone_on_with(get, server):
    assert get("/breaks") == DATA
    assert server.asked == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]


def test_a_beginning_from_an_earlier_life_is_used(get, server):
    assert get("/breaks", begun=DATA[:90_000]) == DATA
    assert server.asked == ["bytes=90000-"]


def test_a_wrong_beginning_costs_one_more_try(get):
    assert get("/breaks", begun=b"x" * 90_000) == DATA


def test_a_server_without_ranges_sends_it_all_again(get):
    assert get("/whole", begun=DATA[:500]) == DATA


@pytest.mark.parametrize(
    ("path", "more", "kind", "says"),
    [
        ("/404", {}, errors.Rejected, "404"),
        ("/503", {}, errors.Unreachable, "503"),
        ("/loop", {}, errors.Rejected, "redirects"),
        ("/file", {}, errors.Rejected, "'file://'"),
        ("/whole", {"limit": 1000}, errors.RomError, "larger than 1000 bytes"),
        ("/whole?token=secret", {"sha256": "0" * 64}, errors.RomError, f"has sha256 {SHA}, not 0000"),
    ],
)
def test_what_cannot_be_had_is_told_and_not_kept(get, path, more, kind, says):
    with pytest.raises(kind, match=says) as caught:
        get(path, **more)
    assert "secret" not in str(caught.value)
    assert not get.partial.exists()


def test_a_server_that_drips_is_not_waited_for_and_gone_on_with_later(get):
    with pytest.raises(errors.Unreachable, match="/drips: too slow, 6 bytes in 60 s"):
        get("/drips", step=10.0, begun=DATA[:500])
    assert get.partial.read_bytes() == DATA[:506]
    assert get("/breaks", step=10.0) == DATA


def test_nobody_there_is_unreachable(tmp_path):
    with pytest.raises(errors.Unreachable):
        fetch.fetch("http://127.0.0.1:1/x", SHA, tmp_path / "p", limit=9, progress=lambda *_: None)
