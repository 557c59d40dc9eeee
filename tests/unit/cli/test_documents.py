"""``validate`` and ``schema`` as a user meets them: one clear error a mistake, and the exit codes that are documented."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from transom import resources
from transom.cli import main


def transom(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "transom", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", sorted(resources.examples_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_example_is_right(path):
    done = CliRunner().invoke(main.transom, ["validate", "-f", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["nodes"] == ["pve1"]


def test_a_wrong_document_is_65_with_file_line_and_path(tmp_path):
    file = tmp_path / "fleet.yaml"
    text = (resources.examples_dir() / "seed.yaml").read_text().replace("8086:9bc8:1849:9bc8", "8086:9bcg")
    file.write_text(text)
    done = transom("validate", "-f", str(file))
    assert done.returncode == 65
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "9bcg" in row)
    assert f"{file}:{line} spec.devices.igpu.id" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_64():
    assert transom("validate").returncode == 64
    assert transom("no-such-command").returncode == 64


@pytest.mark.parametrize(
    "words", [["plan", "--jsn", "--json"], ["--json"], ["approve", "--json"], ["rm", "x", "y", "--json"]]
)
def test_wrong_usage_is_json_with_json(words):
    done = transom(*words)
    said = json.loads(done.stdout)
    assert (done.returncode, said["error"], said["retry"], done.stderr) == (64, "Usage", "never", "")
    assert said["message"]


def test_schema_is_json_and_names_every_kind():
    schema = json.loads(transom("schema").stdout)
    assert "2020-12" in schema["$schema"]
    for kind in ("Cluster", "Node", "VirtualMachine", "Rom", "Policy"):
        assert kind in json.dumps(schema)
