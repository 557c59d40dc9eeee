"""The library itself: whose bytes are whose, and what a fault beside it does to them."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import threading
import time
from collections.abc import Mapping
from concurrent import futures

import pytest

from patience import PATIENCE
from transom import errors
from transom.reconcile import library
from transom.spec import wish
from transom.store import blobs, store

BYTES = b"a BIOS that somebody handed in"
SHA = hashlib.sha256(BYTES).hexdigest()


@dataclasses.dataclass(frozen=True)
class Answer:
    result: Mapping[str, object]
    payload: bytes


@pytest.fixture
def kept(tmp_path):
    found = store.open_store(tmp_path / "state")
    yield found
    found.close()


@pytest.fixture
def shelf(kept):
    return library.Library(kept, lambda *_: Answer({"good": True}, b"ROM"), tool="test", now=time.time)


def rom(name: str, **given: str) -> wish.RomWish:
    one = wish.RomInput("source", **given)
    build = wish.RomBuild(
        inputs=(one,),
        devices=("8086:9bc8",),
        driver="",
        compress=False,
        pci23=False,
        class_code=0,
        revision=0,
        board="",
    )
    return wish.RomWish(name, "", "", f"Rom/{name}", build=build)


def test_a_wrong_hash_in_a_document_leaves_the_upload_with_those_bytes(kept, shelf, tmp_path):
    kept.inputs.put(BYTES)
    shelf.note_input(SHA, "bios.bin", "upload by ann")
    path = tmp_path / "bios.bin"
    path.write_bytes(BYTES)
    with pytest.raises(errors.Rejected, match=f"has sha256 {SHA}, the document says aaaa"):
        shelf.build(rom("x", file=str(path), sha256="a" * 64), "Rom/x")
    assert shelf.build(rom("y", sha256=SHA), "Rom/y").state == "built"


def test_a_file_with_a_wrong_hash_is_not_kept(kept, shelf, tmp_path):
    path = tmp_path / "bios.bin"
    path.write_bytes(BYTES)
    with pytest.raises(errors.Rejected):
        shelf.build(rom("x", file=str(path), sha256="a" * 64), "Rom/x")
    assert kept.inputs.names() == []
    assert not list(kept.inputs.partial("x").parent.iterdir())


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (OSError(28, "No space left on device"), errors.Rejected, "No space left on device.*transom rom gc"),
        (KeyError("parts"), errors.Defect, "KeyError at test_library.py"),
    ],
)
def test_a_full_disk_or_a_mistake_of_ours_ends_the_build_with_its_reason(kept, fault, kind, says):
    def sandbox(*_):
        raise fault

    kept.inputs.put(BYTES)
    shelf = library.Library(kept, sandbox, tool="test", now=time.time)
    one = rom("y", sha256=SHA)
    with pytest.raises(kind, match=says):
        shelf.build(one, "Rom/y")
    assert shelf.result(one).state == "failed"
    assert shelf.failed_at(one) is not None


def test_bytes_that_give_no_rom_say_nothing_of_those_that_follow(kept, tmp_path):
    """A look may come while the file is being written: what is there afterwards is not held for half of it."""

    def sandbox(inputs: tuple[library.Input, ...], *_: object) -> Answer:
        if inputs[0].path.read_bytes() != BYTES:
            raise errors.RomError("no GOP driver in it")
        return Answer({"good": True}, b"ROM")

    path = tmp_path / "bios.bin"
    path.write_bytes(BYTES[:9])
    shelf, one = library.Library(kept, sandbox, tool="test", now=time.time), rom("igd", file=str(path))
    with pytest.raises(errors.RomError, match="no GOP driver"):
        shelf.build(one, "Rom/igd")
    assert (shelf.result(one).state, shelf.result(one).reason) == ("failed", "no GOP driver in it")
    path.write_bytes(BYTES)
    assert (shelf.result(one).state, shelf.failed_at(one)) == ("building", None)
    shelf.build(one, "Rom/igd")
    assert shelf.result(one).state == "built"


def test_a_full_disk_is_told_to_who_hands_a_file_in(kept, tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    incoming = blobs.Incoming(kept.inputs, full, 100)
    incoming.write(BYTES)
    with pytest.raises(errors.Rejected, match="No space left on device"):
        incoming.keep()
    incoming.drop()
    assert not full.is_symlink()


class Handler(http.server.BaseHTTPRequestHandler):
    """``/slow`` sends half of it, and the rest when the server's ``go_on`` is set."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BYTES)))
        self.end_headers()
        self.wfile.write(BYTES[:9])
        if self.path == "/slow":
            self.server.stands.set()
            self.server.go_on.wait(PATIENCE)
        self.wfile.write(BYTES[9:])

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stands, self.go_on = threading.Event(), threading.Event()


def test_a_slow_download_holds_no_other_one(shelf, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server, futures.ThreadPoolExecutor() as threads:
        threads.submit(server.serve_forever, poll_interval=0.02)
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            slow = threads.submit(shelf.build, rom("slow", url=f"{url}/slow", sha256="b" * 64), "Rom/slow")
            assert server.stands.wait(PATIENCE)
            fast = threads.submit(shelf.build, rom("fast", url=f"{url}/fast", sha256=SHA), "Rom/fast")
            assert fast.result(timeout=PATIENCE).state == "built"
            assert not slow.done()
        finally:
            server.go_on.set()
            server.shutdown()
        with pytest.raises(errors.RomError, match="has sha256"):
            slow.result(timeout=PATIENCE)
