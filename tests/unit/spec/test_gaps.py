"""What is left of a wrong document, and what its gaps say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from transom import errors, resources
from transom.spec import across, bundle, gaps, loader, problems, validate, within, yamltree

HOLES = gaps.Gaps(
    wrong=frozenset({("spec", "disks", "scsi0"), ("spec", "boot", 1)}),
    unsure=frozenset({("spec", "device")}),
    misnamed=frozenset({("spec", "network")}),
    kept={("spec", "boot"): (0, 2, 3)},
)


def test_indexes_of_what_is_left_are_those_of_the_document() -> None:
    assert HOLES.written(("spec", "boot", 1)) == ("spec", "boot", 2)
    assert HOLES.written(("spec", "usb", 1)) == ("spec", "usb", 1)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (("spec", "device"), True),
        (("spec", "disks", "scsi0", "size"), True),
        (("spec", "disks", "scsi1"), False),
        (("spec", "disks"), False),
        (("spec", "network", "net0"), True),
        (("spec", "network"), False),
    ],
)
def test_what_cannot_be_told(path: gaps.Path, hidden: bool) -> None:
    assert HOLES.hide(path) is hidden


def test_a_gap_below_touches_what_is_around_it() -> None:
    assert HOLES.touch(("spec", "disks"))
    assert not HOLES.touch(("spec", "media"))


def test_what_is_left_has_every_field_that_is_right() -> None:
    head = "apiVersion: transom/v1\nkind: VirtualMachine\nmetadata: {name: a}\nspec:\n"
    text = head + "  {vmid: 112, device: igpu, hardware: {cores: six, memory: 8192}}"
    (tree,), _ = yamltree.read(text, "t")
    item, wrong = validate.document(tree, "t")
    assert [str(problem) for problem in wrong] == [
        "t:4 spec.node: is missing",
        't:5 spec.hardware.cores: "six" is not a whole number',
    ]
    assert item is not None
    left = item.document.model_dump()["spec"]
    assert (left["vmid"], left["device"], left["hardware"]["memory"], left["hardware"]["cores"]) == (
        112,
        "igpu",
        8192,
        None,
    )


def test_an_error_carries_its_mistakes_in_parts() -> None:
    with pytest.raises(errors.SpecError) as caught:
        loader.parse("apiVersion: transom/v1\nkind: Rom\nmetadata: {name: a}\nspec: {file: a}", "t")
    assert caught.value.rows == (errors.Mistake("t", 4, "spec.sha256", "is missing"),)
    assert caught.value.problems == ["t:4 spec.sha256: is missing"] == str(caught.value).splitlines()
    assert errors.SpecError(["a line alone"]).rows == (errors.Mistake("", 0, "", "a line alone"),)


EXAMPLES = ["seed.yaml", "two-vms.yaml"]
WRONG: list[Any] = [{"!": 1}, ["\n"], "no such \n", 0.5, False]


def put(tree: yamltree.Tree, path: gaps.Path, value: object) -> yamltree.Tree:
    data = copy.deepcopy(tree.data)
    holder: Any = data
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    return yamltree.Tree(data, tree.lines)


def everything_told(trees: list[yamltree.Tree], shipped: tuple[bundle.Loaded, ...]) -> list[problems.Problem]:
    found: list[problems.Problem] = []
    own: list[bundle.Loaded] = []
    for tree in trees:
        item, wrong = validate.document(tree, "t")
        assert item is not None
        own.append(item)
        found += [*wrong, *within.check(item)]
    return found + across.check(bundle.Bundle(tuple(own), shipped))


@pytest.mark.parametrize("example", EXAMPLES)
def test_nothing_follows_from_one_wrong_value(example: str) -> None:
    """Whatever single value of right documents is made wrong: all that is told stands there, below it or in what holds it."""
    shipped = loader.shipped_recipes()
    text = (resources.examples_dir() / example).read_text(encoding="utf-8")
    trees, _ = yamltree.read(text, "t")
    tried = 0
    for index, tree in enumerate(trees):
        for path in [path for path in tree.lines if path not in ((), ("kind",))]:
            for value in WRONG:
                changed = [*trees[:index], put(tree, path, value), *trees[index + 1 :]]
                _, wrong = validate.document(changed[index], "t")
                if not wrong:
                    continue  # right after all: another switch, say
                where = problems.dotted(path)
                told = [item.path for item in everything_told(changed, shipped)]
                assert all(one.startswith(where) or where.startswith(one) for one in told), (path, value, told)
                tried += 1
    assert tried > 200
