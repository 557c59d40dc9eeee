"""The worker end to end: answers, stages, and every way in which it can fail."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import pathlib
import struct
import threading
import types

import pytest

from transom import errors
from transom.sandbox import limits, run, walls

ROOT = pathlib.Path(__file__).parents[3]
EFIROM = ROOT / "tests" / "golden" / "rom" / "efirom"
OPTIONS = {
    "vendor": 0x8086,
    "devices": [0x9BC8],
    "compress": False,
    "pci23": False,
    "class_code": 0,
    "revision": 0,
    "last": True,
}


@pytest.fixture(scope="module")
def make() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("compose", ROOT / "tests" / "unit" / "rom" / "compose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(*inputs: run.Input, **more: object) -> run.Answer:
    return run.run("build", inputs, more={"options": OPTIONS | more, "driver": ""})


def test_build_gives_the_vectors_bytes() -> None:
    vectors = {vector["name"]: vector for vector in json.loads((EFIROM / "vectors.json").read_text())}
    plain = build(run.Input(EFIROM / "x64-big.efi"))
    packed = build(run.Input(EFIROM / "x64-4k.efi"), compress=True)
    fronted = build(run.Input(EFIROM / "x64-4k.efi"), run.Input(EFIROM / "legacy-2k.bin", "legacy"))
    for answer, name in ((plain, "big"), (packed, "ec"), (fronted, "legacy-efi")):
        assert hashlib.sha256(answer.payload).hexdigest() == vectors[name]["sha256"] == answer.result["sha256"]


def test_stages_are_told(make: types.ModuleType, tmp_path: pathlib.Path) -> None:
    (tmp_path / "bios.bin").write_bytes(
        make.volume(make.file(make.section(0x10, make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912)))))
    )
    stages: list[str] = []
    answer = run.run("inspect", (run.Input(tmp_path / "bios.bin"),), on_stage=stages.append, more={"tree": True})
    assert answer.result["gop"][0]["device_ids"] == ["8086:9bc8", "8086:9bc5", "8086:3e92", "8086:1912"]
    assert answer.result["tree"][0]["kind"] == "volume"
    assert stages[-1] == "answering"


def test_faults_of_the_bytes_come_back_as_such(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(2000))
    with pytest.raises(errors.RomError, match=r"x\.bin: no Intel GOP driver here"):
        build(run.Input(tmp_path / "x.bin"))


def test_a_fault_carries_its_offset_once(tmp_path: pathlib.Path) -> None:
    legacy = bytearray((EFIROM / "legacy-2k.bin").read_bytes())
    struct.pack_into("<H", legacy, 0x18, 0x700)
    (tmp_path / "bent.rom").write_bytes(legacy)
    with pytest.raises(errors.RomError) as wrong:
        build(run.Input(tmp_path / "bent.rom", "legacy"))
    assert str(wrong.value) == "at 0x700: the legacy image has no PCI data structure"
    assert wrong.value.offset == 0x700
    answer = run.run("verify", (run.Input(tmp_path / "bent.rom"),))
    assert answer.result["problems"] == [{"offset": 0x18, "text": "PcirOffset 0x700 does not lead to a PCIR"}]


def test_bomb_is_refused_by_the_budget(make: types.ModuleType, tmp_path: pathlib.Path) -> None:
    bomb = make.volume(make.file(make.guided(make.LZMA, make.lzma_alone(bytes(1000), announce=7 << 30))))
    (tmp_path / "bomb").write_bytes(bomb)
    found = run.run("inspect", (run.Input(tmp_path / "bomb"),)).result
    assert not found["whole"]
    assert "would expand to" in found["problems"][0]["text"]
    with pytest.raises(errors.RomError, match="no Intel GOP driver here") as told:
        build(run.Input(tmp_path / "bomb"))
    assert "would expand to" in told.value.hint


def test_memory_is_limited(make: types.ModuleType, tmp_path: pathlib.Path) -> None:
    body = make.guided(make.LZMA, make.lzma_alone(make.section(0x19, bytes(60 << 20), large=True)))
    (tmp_path / "big").write_bytes(make.volume(make.file(body)))
    with pytest.raises(errors.SandboxError, match=r"more than \d+ bytes of memory .*stage: parsing"):
        run.run("inspect", (run.Input(tmp_path / "big"),), limits=limits.Limits(memory=80 << 20))


def slow(make: types.ModuleType, tmp_path: pathlib.Path) -> pathlib.Path:
    """Takes about a second of work, within every budget."""
    body = make.guided(make.LZMA, make.lzma_alone(make.section(0x19, os.urandom(1 << 20) * 20, large=True)))
    path = tmp_path / "slow"
    path.write_bytes(make.volume(make.file(make.joined(*[body] * 4))) + b"_FVH" * 190_000)
    return path


def test_wall_clock_is_limited(make: types.ModuleType, tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.SandboxError, match=r"more than 0\.\d+ s .*stage: "):
        run.run("inspect", (run.Input(slow(make, tmp_path)),), limits=limits.Limits(wall=0.2))


def test_answer_size_is_limited() -> None:
    with pytest.raises(errors.SandboxError, match="answer is larger than 1000 bytes"):
        run.run(
            "build",
            (run.Input(EFIROM / "x64-big.efi"),),
            limits=limits.Limits(answer=1000),
            more={"options": OPTIONS, "driver": ""},
        )


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os.abort()", "crashed with signal 6"),
        ("import ctypes; ctypes.string_at(0)", "crashed with signal 11"),
        ("raise SystemExit(3)", "failed with 3"),
        ("raise ValueError('odd')", "failed with 1: ValueError: odd"),
        ("print('not json')", "is not JSON"),
        ("print('{}')", "is cut off"),
        ('print(\'{"result": {}, "bytes": 5}\')', "is cut off"),
        ("pass", "is not JSON"),
        ('print(\'{"stage": "half way"}\', flush=True); import os; os._exit(9)', "half way"),
        ("while True: print('x' * 100000)", "answer is larger"),
    ],
)
def test_a_worker_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, code: str, says: str
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    monkeypatch.setattr(walls, "_START", code)
    with pytest.raises(errors.SandboxError, match=says):
        run.run(
            "inspect",
            (run.Input(tmp_path / "x"),),
            limits=dataclasses.replace(limits.Limits(), answer=1 << 20, wall=20),
        )


def test_what_is_no_regular_file_is_refused(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, says in ((tmp_path / "pipe", "regular"), (tmp_path, "regular"), (tmp_path / "none", "No such file")):
        with pytest.raises(errors.RomError, match=says):
            run.run("inspect", (run.Input(path),))
    (tmp_path / "large").write_bytes(bytes(2000))
    with pytest.raises(errors.RomError, match="2000 bytes, more than 1000"):
        run.run("inspect", (run.Input(tmp_path / "large"),), limits=limits.Limits(input=1000))


def test_same_request_same_answer_from_many_threads() -> None:
    answers: list[run.Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(build(run.Input(EFIROM / "x64-odd.efi")))) for _ in range(3)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(answers) == 3
    assert all(one == answers[0] for one in answers)


def test_terminal_escapes_do_not_come_through(make: types.ModuleType, tmp_path: pathlib.Path) -> None:
    body = make.joined(make.section(0x10, make.pe(body=bytes(100))), make.ui("\x1b[2Jgone\u202e"))
    (tmp_path / "x").write_bytes(make.volume(make.file(body)))
    answer = run.run("inspect", (run.Input(tmp_path / "x"),))
    assert answer.result["drivers"][0]["name"] == "?[2Jgone?"
