"""Every configuration that the recorded answers of PVE hold, adopted: the plan is empty, and its values are as they were."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from transom import resources
from transom.guest import compare, conf
from transom.plan import make
from transom.plan.adopt import find, settle, text
from transom.spec import loader, resolve

CASES = pathlib.Path(__file__).resolve().parents[4] / "shared" / "contract" / "open.jsonl"
BASE = "---\n".join((resources.examples_dir() / "seed.yaml").read_text().split("---\n")[:2]).split("  host:\n")[0]


def files(case: dict[str, object]) -> Iterator[list[str]]:
    """The lines of each file before and after."""
    given, after = case["given"], case.get("after")
    assert isinstance(given, dict)
    for vm in given.get("vms", {}).values():
        if vm and vm.get("file"):
            yield vm["file"]
    if isinstance(after, dict) and after.get("file"):
        yield after["file"]


@pytest.fixture(scope="module")
def recorded() -> list[str]:
    if not CASES.exists():
        pytest.skip(f"the recorded contract is not there ({CASES})")
    found = [json.loads(line) for line in CASES.read_text().splitlines()]
    return sorted({"\n".join(lines) + "\n" for case in found for lines in files(case)})


def test_each_recorded_configuration_can_be_adopted(desk, recorded):
    assert len(recorded) > 100
    docs = loader.assemble(loader.parse(BASE, "base.yaml"), loader.shipped_recipes())
    (wanted,) = resolve.resolve(docs)
    (item,) = [one for one in docs.own if one.kind == "Node"]
    clusters = [one for one in docs.own if one.kind == "Cluster"]
    named = 0
    for content in recorded:
        desk.node.guests = {700: content}
        facts = desk.node.facts()
        settled = settle.settle(find.find(item, docs, facts, wanted, vmids=None, host=False), docs, facts, {})
        assert not settled.rest, content
        yaml = text.header(clusters, "pve1") + text.node(settled.sheet, {}, ())
        (again,) = resolve.resolve(loader.assemble(loader.parse(yaml, "adopted.yaml"), loader.shipped_recipes()))
        plan = make.make(again, facts, {})
        assert plan.empty, (content, plan.drifts, plan.gates)
        there = conf.parse(content).persisted()
        for guest in again.guests:
            wants = {key: want.value for key, want in guest.config.items()}
            assert compare.differences(wants, there) == (), content
            named += len(wants)
    assert named > len(recorded)
