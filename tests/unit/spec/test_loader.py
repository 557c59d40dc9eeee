"""Reading files and texts: what comes out, what is refused, and that nothing else is ever raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from transom import errors, resources
from transom.spec import across, bundle, documents, gaps, loader, validate, within, yamltree

SEED = (resources.examples_dir() / "seed.yaml").read_text(encoding="utf-8")


def plain(text: str) -> object:
    trees, wrong = yamltree.read(text, "t")
    assert not wrong
    return trees[0].data


def test_scalars_are_not_those_of_yaml_1_1() -> None:
    data = plain(
        "a: 00:02.0\nb: on\nc: 0295\nd: 12\ne: true\nf: '12'\ng: 10:20:30:40:50:51\nh: 7.1\ni: 0x10\nj: 1_0\nk: |\n  7\n"
    )
    assert data == {
        "a": "00:02.0",
        "b": "on",
        "c": "0295",
        "d": 12,
        "e": True,
        "f": "12",
        "g": "10:20:30:40:50:51",
        "h": "7.1",
        "i": "0x10",
        "j": "1_0",
        "k": "7\n",
    }


def test_a_number_too_long_for_any_field_stays_text() -> None:
    digits = "1" * 5000
    assert plain(f"a: {digits}") == {"a": digits}


def test_an_alias_repeats_its_value_and_has_the_line_of_its_use() -> None:
    trees, wrong = yamltree.read("a: &x\n  k: v\nb: *x\n", "t")
    assert not wrong
    assert trees[0].data == {"a": {"k": "v"}, "b": {"k": "v"}}
    assert trees[0].lines[("b",)] == 3


def test_every_value_has_its_line() -> None:
    (cluster, node, vm, _, _) = loader.parse(SEED, "seed.yaml")
    text = SEED.splitlines()
    assert "cluster: home" in text[node.line("spec", "cluster") - 1]
    assert "iommu=pt" in text[node.line("spec", "host", "kernel_cmdline", 2) - 1]
    assert "04d9:0295" in text[vm.line("spec", "hardware", "usb", 1) - 1]
    assert vm.place("spec", "hardware", "disks", "scsi0", "no-such") == vm.place("spec", "hardware", "disks", "scsi0")
    assert cluster.place("metadata", "name") == "seed.yaml:6"


def test_paths_become_absolute_and_home_is_expanded(base: str, document: Callable[[str, str, str], str]) -> None:
    rom = document("Rom", "igd", f"{{file: roms/../igd.rom, sha256: {'a' * 64}}}")
    cluster, _, found = loader.parse(f"{base}---\n{rom}", "t", validate.Whereabouts("/documents", "/home/me"))
    assert isinstance(cluster.document, documents.Cluster)
    assert isinstance(found.document, documents.Rom)
    assert cluster.document.spec.ssh.key.file == "/home/me/.ssh/id"
    assert found.document.spec.file == "/documents/igd.rom"


def test_without_whereabouts_paths_stay_as_written(document: Callable[[str, str, str], str]) -> None:
    (rom,) = loader.parse(document("Rom", "igd", f"{{file: igd.rom, sha256: {'A' * 64}}}"), "t")
    assert isinstance(rom.document, documents.Rom)
    assert rom.document.spec == documents.RomSpec(file="igd.rom", sha256="a" * 64)


def test_a_folder_means_its_yaml_files_and_a_file_is_read_once(tmp_path: pathlib.Path, base: str) -> None:
    cluster, node = base.split("---\n")
    (tmp_path / "b.yaml").write_text(cluster, encoding="utf-8")
    (tmp_path / "a.yaml").write_text(node, encoding="utf-8")
    (tmp_path / "c.yml").write_text("not: read", encoding="utf-8")
    docs = loader.load([tmp_path, tmp_path / "a.yaml"])
    assert [item.title for item in docs.own] == ["Node/pve1", "Cluster/home"]
    assert "Recipe/igd-legacy-seabios" in [item.title for item in docs.shipped]


def test_relative_to_the_document_not_to_where_one_stands(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, document: Callable[[str, str, str], str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "rom.yaml").write_text(document("Rom", "x", f"{{file: x.rom, sha256: {'a' * 64}}}"))
    monkeypatch.chdir(tmp_path)
    (rom,) = loader.load([pathlib.Path("docs/rom.yaml")]).own
    assert isinstance(rom.document, documents.Rom)
    assert rom.document.spec.file == str(tmp_path / "docs" / "x.rom")
    assert rom.file == "docs/rom.yaml"


def test_files_that_cannot_be_read_are_told_with_the_others(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    with pytest.raises(errors.SpecError) as caught:
        loader.load([tmp_path / "empty", tmp_path / "latin.yaml", tmp_path / "none.yaml"])
    assert sorted(line.removeprefix(f"{tmp_path}/") for line in caught.value.problems) == [
        "empty: this folder holds no *.yaml file",
        "latin.yaml: is not UTF-8 text (byte 3)",
        "none.yaml: cannot be read: No such file or directory",
    ]


def test_a_text_without_end_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(errors.SpecError, match="is longer than"):
        loader.parse("a" * (yamltree.MAX_TEXT + 1), "t")


def test_what_refers_to_a_wrong_document_is_not_blamed(base: str, document: Callable[[str, str, str], str]) -> None:
    vm = loader.parse(document("VirtualMachine", "a", "{node: pve9}"), "t")
    docs = bundle.Bundle((*loader.parse(base, "t"), *vm))
    assert across.check(docs)
    assert across.check(docs, frozenset({("Node", "pve9")})) == []


def told(text: str) -> list[str]:
    """What is wrong with a text, nothing when it is read; any other error than SpecError gets through and fails the test."""
    try:
        loader.parse(text, "t", validate.Whereabouts("/d", "/h"))
    except errors.SpecError as error:
        return error.problems or ["an error that says nothing"]
    return []


@hypothesis.given(st.text())
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    assert all(line.isprintable() and line.startswith("t") for line in told(text))


MARKS = [
    "\t",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    ": ",
    "- ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    "|\n",
    ">\n",
    '"',
    "'",
    "#",
    "%",
    "\n  ",
]


@hypothesis.settings(max_examples=300)
@hypothesis.given(
    st.lists(st.tuples(st.integers(0, len(SEED)), st.integers(0, 12), st.sampled_from(MARKS) | st.text(max_size=4)))
)
def test_damaged_documents_are_read_or_refused(edits: list[tuple[int, int, str]]) -> None:
    text = SEED
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    assert all(line.isprintable() and line.startswith("t") for line in told(text))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@hypothesis.given(st.data())
def test_any_value_in_any_field_is_taken_or_refused(data: st.DataObject) -> None:
    trees, _ = yamltree.read(SEED, "t")
    tree = data.draw(st.sampled_from(trees))
    path = data.draw(st.sampled_from([path for path in tree.lines if path]))
    holder = tree.data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = data.draw(values)
    loaded, wrong = validate.document(tree, "t")
    assert bool(wrong) == (loaded is None or loaded.gaps != gaps.NONE)
    further = [*within.check(loaded), *across.check(bundle.Bundle((loaded,)))] if loaded else []
    wrong += further
    assert all(str(problem).isprintable() for problem in wrong)
