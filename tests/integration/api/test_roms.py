"""The library through ``transom rom``: alone on the state folder, and through the daemon, with the real sandbox."""

from __future__ import annotations

import hashlib
import json

import click.testing

from transom.cli import library
from transom.lab import synthetic_rom

ROM = synthetic_rom.igd_rom()
SHA = hashlib.sha256(ROM).hexdigest()


def test_alone_a_file_is_pushed_shown_and_cleared(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSOM_STATE", str(tmp_path / "state"))

    def call(command: click.Command, *words: str, code: int = 0) -> object:
        done = click.testing.CliRunner().invoke(command, [*words, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    driver = tmp_path / "igd.efi"
    driver.write_bytes(synthetic_rom.igd_driver())
    row = call(library.push, str(driver), "--device", "8086:9bc8", "--board", "lab")
    assert (row["sha256"], row["good"], row["board"], row["devices"]) == (SHA, True, "lab", ["8086:9bc8"])
    out = tmp_path / "out.rom"
    assert call(library.show, SHA[:8], "-o", str(out))["key"] == row["key"]
    assert out.read_bytes() == ROM
    assert [one["kind"] for one in call(library.ls)] == ["rom", "input"]
    assert {one["dropped"] for one in call(library.gc, "--days", "0")} == {False}
    assert {one["dropped"] for one in call(library.gc, "--days", "0", "--yes")} == {True}
    assert call(library.ls) == []
    text = tmp_path / "readme.txt"
    text.write_text("no firmware")
    assert call(library.push, str(text), "--device", "8086:9bc8", code=1)["error"] == "RomError"


def test_through_the_daemon_it_is_the_same(daemon, tmp_path):
    driver = tmp_path / "igd.efi"
    driver.write_bytes(synthetic_rom.igd_driver())
    row = daemon.json("rom", "push", driver, "--device", "8086:9bc8")
    assert (row["sha256"], row["state"], row["name"]) == (SHA, "built", "igd.efi")
    out = tmp_path / "out.rom"
    daemon.json("rom", "show", SHA, "-o", out)
    assert out.read_bytes() == ROM
