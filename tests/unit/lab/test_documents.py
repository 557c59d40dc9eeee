"""Documents are pointed at the lab without touching anything but the lines that say how a node is reached."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
import yaml

from transom import errors, resources
from transom.lab import documents, synthetic_rom
from transom.spec import loader

CLUSTERS = {
    "home": documents.ClusterLink(("https://127.0.0.1:4001",), ":".join(["AB"] * 32), "/lab/a b/home.token", "/lab/key")
}
NODES = {
    "pve1": documents.NodeLink(
        "home", 4002, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRoZSBrZXkgb2YgYSBsYWIgbm9kZSwgMzIgYnl0ZXMh"
    )
}
EXAMPLES = sorted(resources.examples_dir().glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_only_connection_lines_differ(example: Path) -> None:
    before = example.read_text()
    after = documents.rewrite(before, CLUSTERS, NODES)
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    keys = {line[1:].strip().removeprefix("- ").partition(":")[0] for line in changed}
    assert keys <= {"https", "file", "env", "fingerprint", "address", "port", "host_key"}
    assert len([line for line in changed if line[0] == "+"]) == 7


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_copy_loads_and_says_what_it_should(example: Path, tmp_path: Path) -> None:
    copy = documents.stage(example, tmp_path, CLUSTERS, NODES)
    assert loader.load([copy])
    cluster, node, *_ = yaml.safe_load_all(copy.read_text())
    assert cluster["spec"]["api"]["endpoints"] == ["https://127.0.0.1:4001"]
    assert cluster["spec"]["api"]["token"]["secret"] == {"file": "/lab/a b/home.token"}
    assert cluster["spec"]["ssh"]["key"] == {"file": "/lab/key"}
    assert (node["spec"]["ssh"]["address"], node["spec"]["ssh"]["port"]) == ("127.0.0.1", 4002)


def test_flow_style_a_given_port_and_odd_layout_are_kept() -> None:
    text = "kind: Node\nmetadata: {name: x}\nspec: {pve_node: 'pve1', ssh: {address: h, host_key: \"k\", port: 22}}  # end\n"
    after = documents.rewrite(text, CLUSTERS, NODES)
    key = NODES["pve1"].host_key
    assert after == text.replace("address: h", "address: 127.0.0.1").replace('"k"', key).replace(
        "port: 22", "port: 4002"
    )
    assert documents.rewrite(text.replace(", port: 22", ""), CLUSTERS, NODES) == after.replace(
        f"127.0.0.1, host_key: {key}, port: 4002", f"127.0.0.1, port: 4002, host_key: {key}"
    )


def test_documents_of_others_stay_as_they_are() -> None:
    text = "kind: Cluster\nmetadata: {name: other}\nspec: {api: {fingerprint: x}}\n---\n# nothing\n"
    assert documents.rewrite(text, CLUSTERS, NODES) == text


def test_the_synthetic_rom_stands_in_and_ones_own_is_copied(tmp_path: Path) -> None:
    seed = resources.examples_dir() / "seed.yaml"
    documents.stage(seed, tmp_path / "lab", CLUSTERS, NODES)
    assert (tmp_path / "lab/igd.rom").read_bytes() == synthetic_rom.igd_rom()
    own = tmp_path / "own"
    own.mkdir()
    (own / "igd.rom").write_bytes(b"mine")
    (own / "seed.yaml").write_text(seed.read_text())
    documents.stage(own / "seed.yaml", tmp_path / "lab", CLUSTERS, NODES)
    assert (tmp_path / "lab/igd.rom").read_bytes() == b"mine"


def test_a_rom_that_nobody_has_is_a_problem(tmp_path: Path) -> None:
    text = (resources.examples_dir() / "seed.yaml").read_text().replace("4ca987b5", "00000000")
    (tmp_path / "seed.yaml").write_text(text)
    with pytest.raises(errors.SpecError, match=r"igd\.rom is not beside the document"):
        documents.stage(tmp_path / "seed.yaml", tmp_path / "lab", CLUSTERS, NODES)


def test_a_node_that_the_lab_lacks_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(errors.SpecError, match="the lab has no node pve1"):
        documents.stage(resources.examples_dir() / "seed.yaml", tmp_path, CLUSTERS, {})
