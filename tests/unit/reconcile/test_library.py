"""The library itself: whose bytes are whose, and what a fault beside it does to them."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Mapping

import pytest

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


def test_a_full_disk_is_told_to_who_hands_a_file_in(kept, tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    incoming = blobs.Incoming(kept.inputs, full, 100)
    incoming.write(BYTES)
    with pytest.raises(errors.Rejected, match="No space left on device"):
        incoming.keep()
    incoming.drop()
    assert not full.is_symlink()
