"""Every setting against its golden cases; a setting without them, or without its place in the reference, fails.

A case gives files, what runs, the wanted items; it expects items with their places, clashes, what is skipped, our file afterwards
(a list of lines, null when it does not change) and which wanted items are in effect.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from transom import model
from transom.host import registry, setting
from transom.plan import takeover
from transom.spec import wish

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "host"
CASES = sorted(GOLDEN.glob("*/*.json"))
OPTIONS = ("cmdline", "kernel", "loader", "modules", "pci", "module_options", "sysctl")
KEYS = [one.key for one in registry.SETTINGS]


def test_the_registry_keeps_its_order():
    order = "kernel_cmdline etc_kernel_cmdline modules vfio_ids driver_override blacklist softdep module_options sysctl"
    assert order.split() == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_each_setting_has_its_cases_and_its_place_in_the_reference(key):
    stories = [json.loads(path.read_text()) for path in CASES if path.parent.name == key]
    assert any(story["want"]["text"] is not None for story in stories), "a case that changes"
    assert any(story["want"]["text"] is None and not story["want"].get("clashes") for story in stories), (
        "a case that changes nothing"
    )
    page = (ROOT / "docs" / "host-settings.md").read_text()
    assert f"## {key}\n" in page
    assert registry.by_key(key).path in page.split(f"## {key}\n")[1].split("\n## ")[0]


def test_no_golden_folder_is_left_over():
    assert {path.parent.name for path in CASES} <= set(KEYS)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path, make_facts):
    story = json.loads(path.read_text())
    given, want = story["given"], story["want"]
    one = registry.by_key(path.parent.name)
    options = {name: given[name] for name in OPTIONS if name in given}
    facts = make_facts(given.get("files", {}), **{name: _unknown(value) for name, value in options.items()})
    assert outcome(one, facts, given) == {"skipped": [], "clashes": [], "effective": {}, **want}


def outcome(one: setting.HostSetting, facts: model.Facts, given: dict[str, Any]) -> dict[str, Any]:
    """What a plan would find: the whole way through the seam."""
    wants = tuple(
        wish.Want(*pair) for pair in ((item, "Node/pve1", "", kernel) for item, kernel in _pairs(given["wants"]))
    )
    selection = one.select(wants, facts)
    if isinstance(selection, model.Unknown):
        return {"unknown": selection.unknown, "text": None, "skipped": [], "clashes": [], "effective": {}}
    items = one.read(facts)
    if isinstance(items, model.Unknown):
        return {"unknown": items.unknown, "text": None, "skipped": [], "clashes": [], "effective": {}}
    values = tuple(want.value for want in selection.wants)
    foreign = takeover.foreign(one, items, frozenset(given.get("owned", [])))
    before = _text(facts, one.path)
    after = one.edit(before, frozenset(given.get("owned", [])), _to_write(one, values, items))
    return {
        "items": [_shown(item) for item in items],
        "skipped": [f"{noop.path}: {noop.reason}" for noop in selection.skipped],
        "clashes": [f"{clash.want}: {clash.item.place}: {clash.reason}" for clash in one.clashes(values, foreign)],
        "text": None if after == before else after.split("\n"),
        "effective": {value: model.to_json(one.effective(value, facts)) for value in values if given.get("effective")},
    }


def _to_write(one: setting.HostSetting, values: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[str, ...]:
    foreign = [item.value for item in items if item.path != one.path and not item.hides]
    missing = tuple(value for value in values if not any(one.gives(item, value) for item in foreign))
    return values if one.whole and missing else missing


def _shown(item: setting.Item) -> str:
    return f"{item.place}: {'(hides) ' if item.hides else ''}{item.value}".rstrip()


def _text(facts: model.Facts, path: str) -> str:
    file = facts.file(path)
    return str(file.text) if isinstance(file, model.HostFile) else ""


def _pairs(wants: list[Any]) -> list[tuple[str, str]]:
    return [(want, "") if isinstance(want, str) else (want["value"], want["kernel"]) for want in wants]


def _unknown(value: Any) -> Any:
    return model.Unknown(value["unknown"]) if isinstance(value, dict) and "unknown" in value else value
