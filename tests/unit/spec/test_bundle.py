"""Documents in the store's form and back, and what their fingerprint depends on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from transom import errors
from transom.spec import bundle, documents, loader, schema, validate, yamltree

Bundled = Callable[..., bundle.Bundle]
Document = Callable[[str, str, str], str]
SCHEMA = schema.json_schema()
GIVEN = {
    "host_key": st.just("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5"),
    "cron": st.sampled_from(["0 3 * * sun", "*/5 22-23,0 1,15 jan-mar MON"]),
}
"""Fields whose pattern cannot say all."""


def admitted(part: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Whatever a part of the published schema admits."""
    if "$ref" in part:
        return admitted(SCHEMA["$defs"][part["$ref"].rpartition("/")[2]])
    if "const" in part:
        return st.just(part["const"])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    kind = part["type"]
    if kind == "integer":
        return st.integers(part.get("minimum"), part.get("maximum"))
    if kind == "array":
        return st.lists(admitted(part["items"]), min_size=part.get("minItems", 0), max_size=3)
    if kind != "object":
        return st.from_regex(part["pattern"], fullmatch=True).filter(lambda text: len(text) < 4096)
    if "patternProperties" in part:
        ((pattern, value),) = part["patternProperties"].items()
        return st.dictionaries(st.from_regex(pattern, fullmatch=True), admitted(value), max_size=2)
    return _fields(part)


def _fields(part: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    fields = {name: GIVEN[name] if name in GIVEN else admitted(value) for name, value in part["properties"].items()}
    one, some = ([choice["required"] for choice in part.get(key, [{"required": []}])] for key in ("oneOf", "anyOf"))
    choices = [[*names, *more] for names in one for more in some]
    exclusive = {name for names in one for name in names}
    return st.one_of(
        [
            st.fixed_dictionaries(
                {name: fields[name] for name in [*part.get("required", []), *choice]},
                optional={
                    name: value
                    for name, value in fields.items()
                    if name not in {*part.get("required", []), *choice, *exclusive}
                },
            )
            for choice in choices
        ]
    )


RESERVED = (
    "one for each, in their order",
    "is written by PVE itself",
    "is a parameter of PVE's API",
    "is a secret",
    "is no key of a VM",
)


@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(st.sampled_from(sorted(documents.KINDS)).flatmap(lambda kind: admitted(SCHEMA["$defs"][kind])))
def test_what_the_schema_admits_is_read_and_survives_the_store(data: dict[str, Any]) -> None:
    loaded, wrong = validate.document(yamltree.Tree(data, {(): 1, ("spec",): 3}), "t")
    assert [problem for problem in wrong if not any(reason in problem.reason for reason in RESERVED)] == []
    if loaded and not wrong:
        again = bundle.from_plain(json.loads(json.dumps(bundle.dump(loaded))))
        assert again == loaded
        assert again.place("spec", "x") == "t:3"


def test_the_stored_form_is_as_written(bundled: Bundled, document: Document) -> None:
    docs = bundled(document("VirtualMachine", "a", "{node: pve1, hardware: {numa: yes}}"))
    assert bundle.dump(docs.own[-1])["document"] == {
        "apiVersion": "transom/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "a"},
        "spec": {"node": "pve1", "hardware": {"numa": True}},
    }


def test_a_stored_document_of_another_version_is_refused(bundled: Bundled) -> None:
    stored = bundle.dump(bundled().own[0])
    changes: list[dict[str, Any]] = [{"kind": "Quux"}, {"spec": {}}]
    for wrong in changes:
        with pytest.raises(errors.SpecError, match=r"fleet\.yaml: a stored document does not fit"):
            bundle.from_plain({**stored, "document": {**stored["document"], **wrong}})


def test_stored_documents_are_checked_together_again(bundled: Bundled, document: Document) -> None:
    docs = bundled(document("VirtualMachine", "a", "{node: pve1, device: igpu}"))
    again = [bundle.from_plain(bundle.dump(item)) for item in docs.own]
    assert loader.assemble(again, docs.shipped) == docs
    with pytest.raises(errors.SpecError, match=r'fleet\.yaml:24 spec\.node: there is no Node "pve1"; known: none'):
        loader.assemble([again[0], again[2]], docs.shipped)


def test_the_fingerprint_tells_content_only(bundled: Bundled, document: Document, base: str) -> None:
    def of(*texts: str, base: str = base) -> str:
        return bundle.fingerprint(bundled(*texts, base=base))

    a, b = (document("VirtualMachine", name, "{node: pve1}") for name in "ab")
    first = of(a, b)
    assert first == of(b, a) == of(a, f"\n\n# a comment\n{b}")
    assert first == of(a, b.replace("{node: pve1}", "\n  node: 'pve1'"))
    assert (
        len({first, of(a), of(a, b.replace("pve1}", "pve1, vmid: 100}")), of(a, b, base=base.replace("2222", "22"))})
        == 4
    )


def test_a_shipped_recipe_counts_when_it_is_used(bundled: Bundled, document: Document) -> None:
    docs = bundled(document("VirtualMachine", "a", "{node: pve1, recipe: igd-legacy-seabios, device: igpu}"))
    unused = bundled(document("VirtualMachine", "a", "{node: pve1, device: igpu}"))
    for item, differs in ((docs, True), (unused, False)):
        without = bundle.Bundle(item.own)
        assert (bundle.fingerprint(item) != bundle.fingerprint(without)) is differs
