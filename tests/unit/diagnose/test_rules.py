"""Every rule on its golden cases; each must have one that fires, one that looks alike and is clear, one where it cannot tell."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest

from transom import model
from transom.diagnose import registry, rule, view

ROOT = pathlib.Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "diagnose"
RULES = {one.rule.id: one.rule for one in registry.DIAGNOSES}
CASES = sorted(path.parent for path in GOLDEN.glob("*/*/want.json"))
Load = Callable[[pathlib.Path], view.Host]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_golden(case: pathlib.Path, host_of: Load) -> None:
    want = json.loads((case / "want.json").read_text())
    id, host = case.parent.name, host_of(case)
    findings = [model.to_json(one) for one in registry.run(host.facts, host.wish) if one.id == id]
    for one in findings:  # whose alone a finding is, follows from the rule's scope
        scoped = RULES[id].scope is rule.Scope.GUEST and RULES[id].whole is None
        assert bool(one.pop("documents")) is scoped
    mine = [one for one in registry.verdicts(host) if one.rule.id == id]
    blind = {one.subject: one.verdict.reason for one in mine if isinstance(one.verdict, rule.CannotTell)}
    assert {"findings": findings, "cannot_tell": blind} == want


@pytest.mark.parametrize("id", RULES)
@pytest.mark.parametrize(
    ("kind", "fires", "blind"), [("fires", True, False), ("looks-alike", False, False), ("unknown", None, True)]
)
def test_each_rule_has_each_kind_of_case(id: str, kind: str, fires: bool | None, blind: bool) -> None:
    cases = sorted((GOLDEN / id).glob(f"{kind}*/want.json"))
    assert (GOLDEN / id / kind / "want.json") in cases
    for case in cases:
        want = json.loads(case.read_text())
        assert bool(want["cannot_tell"]) is blind, case
        # A rule that cannot tell speaks only when safety rests on it.
        assert bool(want["findings"]) is (RULES[id].safety if fires is None else fires), case


@pytest.mark.parametrize("id", RULES)
def test_each_rule_has_a_line_in_the_docs(id: str) -> None:
    assert f"| `{id}` |" in (ROOT / "docs" / "diagnoses.md").read_text()


def test_ids_are_their_files_names() -> None:
    for one in registry.DIAGNOSES:
        assert one.judge.__module__.rpartition(".")[2] == one.rule.id.replace("-", "_")


def test_the_seeds_machine_as_it_should_be_has_nothing_but_its_acs_override(host_of: Load) -> None:
    host = host_of(GOLDEN / "base")
    assert [one.id for one in registry.run(host.facts, host.wish)] == ["acs-override"]
    assert not any(isinstance(one.verdict, rule.CannotTell) for one in registry.verdicts(host))
