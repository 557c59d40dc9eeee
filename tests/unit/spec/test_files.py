"""Files and environment variables that documents name: told with their place, and never a secret with them."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Callable

import pytest

from transom.spec import bundle, loader

Texts = Callable[[str, str, str], str]
PRINT = ":".join(["AB"] * 32)


def cluster(document: Texts, token: str, key: str, trust: str = f'fingerprint: "{PRINT}"') -> str:
    api = f'{{endpoints: ["https://192.0.2.11:8006"], token: {{id: a@pve!bb, secret: {token}}}, {trust}}}'
    return document("Cluster", "home", f"{{api: {api}, ssh: {{key: {key}}}}}")


@pytest.fixture
def load(tmp_path: pathlib.Path) -> Callable[[str], bundle.Bundle]:
    def make(text: str) -> bundle.Bundle:
        (tmp_path / "fleet.yaml").write_text(text)
        return loader.load([tmp_path / "fleet.yaml"])

    return make


def told(docs: bundle.Bundle, folder: pathlib.Path, **environ: str) -> list[str]:
    return [str(problem).replace(str(folder), "DIR") for problem in loader.check_files(docs, environ)]


def rom(document: Texts, content: bytes, file: str = "igd.rom") -> str:
    return document("Rom", "igd", f"\n  file: {file}\n  sha256: {hashlib.sha256(content).hexdigest()}")


def test_the_right_rom_is_right(load, document: Texts, tmp_path: pathlib.Path) -> None:
    (tmp_path / "igd.rom").write_bytes(b"rom")
    assert loader.check_files(load(rom(document, b"rom"))) == []


def test_another_hash_is_told_with_both(load, document: Texts, tmp_path: pathlib.Path) -> None:
    (tmp_path / "my igd.rom").write_bytes(b"new")
    new, old = (hashlib.sha256(content).hexdigest() for content in (b"new", b"old"))
    assert told(load(rom(document, b"old", "my igd.rom")), tmp_path) == [
        f"DIR/fleet.yaml:6 spec.sha256: my igd.rom has sha256 {new}, not {old}; "
        "put what `sha256sum 'my igd.rom'` prints here, if it is the ROM that you mean"
    ]


def nothing(path: pathlib.Path) -> None:
    """The path stays without a file."""


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (nothing, "does not exist"),
        (pathlib.Path.mkdir, "is a folder, not a file"),
        (os.mkfifo, "is no regular file"),
        (pathlib.Path.touch, "is empty"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    ],
)
def test_a_rom_that_cannot_be_read(load, document: Texts, tmp_path: pathlib.Path, make, fault: str) -> None:
    make(tmp_path / "igd.rom")
    docs = load(rom(document, b"rom"))
    (line,) = told(docs, tmp_path)
    assert line.startswith(f'DIR/fleet.yaml:5 spec.file: "DIR/igd.rom" {fault}; put the ROM there')
    assert bool(loader.check_files(docs, absent=False)) == (fault != "does not exist")


def test_secrets_and_keys_that_are_not_there(load, document: Texts, tmp_path: pathlib.Path) -> None:
    docs = load(cluster(document, "{file: hunter2}", "{env: HUNTER2}", "ca: ca.pem"))
    lines = told(docs, tmp_path)
    assert lines == [
        'DIR/fleet.yaml:4 spec.api.token.secret.file: the file that it names in "DIR" does not exist; '
        "put the secret there, or mend the path (it is relative to the document's folder)",
        "DIR/fleet.yaml:4 spec.ssh.key.env: the environment variable that it names is not set; "
        'set it where Transom runs, or give "file: PATH"',
        'DIR/fleet.yaml:4 spec.api.ca: "DIR/ca.pem" does not exist; put the certificate of the CA there, or mend the path',
    ]
    assert not any("hunter2" in line.lower() for line in lines)
    assert loader.check_files(docs, {}, absent=False) == []


def test_what_is_there_but_empty_cannot_serve(load, document: Texts, tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").touch()
    docs = load(cluster(document, "{env: TOKEN}", "{file: key}"))
    assert [problem.path for problem in loader.check_files(docs, {"TOKEN": " \n"}, absent=False)] == [
        "spec.api.token.secret.env",
        "spec.ssh.key.file",
    ]


def test_what_is_there_is_right(load, document: Texts, tmp_path: pathlib.Path) -> None:
    (tmp_path / "key").write_text("key")
    docs = load(cluster(document, "{env: TOKEN}", "{file: key}", "ca: key"))
    assert told(docs, tmp_path, TOKEN="secret") == []
