"""``transom validate`` over files that documents name, and its mistakes as JSON."""

from __future__ import annotations

import json
import pathlib

import click.testing
import pytest

from transom import resources
from transom.cli import documents
from transom.lab import synthetic_rom

SEED = (resources.examples_dir() / "seed.yaml").read_text(encoding="utf-8")


@pytest.fixture
def fleet(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The seed's documents, in a home without any of the files that they name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "fleet.yaml").write_text(SEED, encoding="utf-8")
    return tmp_path / "fleet.yaml"


def run(*words: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(documents.validate, list(words))


def test_what_is_not_here_is_told_and_no_mistake(fleet: pathlib.Path) -> None:
    done = run("-f", str(fleet))
    assert done.exit_code == 0
    assert done.stderr.count("not here: ") == 3
    assert f'{fleet}:103 spec.file: "{fleet.parent}/igd.rom" does not exist' in done.stderr
    told = json.loads(run("-f", str(fleet), "--json").stdout)
    assert told["valid"] is True
    assert [row["path"] for row in told["absent"]] == ["spec.api.token.secret.file", "spec.ssh.key.file", "spec.file"]


def test_strict_makes_it_one(fleet: pathlib.Path) -> None:
    done = run("-f", str(fleet), "--strict")
    assert done.exit_code == 65
    assert "spec.api.token.secret.file: the file that it names" in done.stderr


def test_a_rom_with_another_hash_is_a_mistake_and_the_right_one_is_not(fleet: pathlib.Path) -> None:
    (fleet.parent / "igd.rom").write_bytes(b"another")
    done = run("-f", str(fleet))
    assert done.exit_code == 65
    assert f"{fleet}:104 spec.sha256: igd.rom has sha256 " in done.stderr
    (fleet.parent / "igd.rom").write_bytes(synthetic_rom.igd_rom())
    assert run("-f", str(fleet)).exit_code == 0


def test_mistakes_as_a_list(fleet: pathlib.Path) -> None:
    fleet.write_text(SEED.replace("cores: 6", "cores: six").replace("device: igpu", "device: igpuu"), encoding="utf-8")
    done = run("-f", str(fleet), "--json")
    assert done.exit_code == 65
    said = json.loads(done.stdout)
    assert said["error"] == "SpecError"
    assert [(row["path"], row["reason"]) for row in said["problems"]] == [
        ("spec.device", 'Node "pve1" has no device "igpuu"; did you mean "igpu"?'),
        ("spec.hardware.cores", '"six" is not a whole number'),
    ]
    lines = fleet.read_text(encoding="utf-8").splitlines()
    assert "igpuu" in lines[said["problems"][0]["line"] - 1]
    assert {row["file"] for row in said["problems"]} == {str(fleet)}
