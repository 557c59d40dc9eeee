"""One value replaced in a document's text: that value changes, and nothing else."""

from __future__ import annotations

import pytest

from transom import errors
from transom.spec import edit, yamltree

PATH = ("spec", "api", "fingerprint")
TEXT = """# fleet of the cellar
kind: Cluster
metadata: {name: home}
spec:
  api:
    # pinned on a sunday
    fingerprint: %s   # keep me
    endpoints: [https://a:1]
---
kind: Cluster
metadata:
  name: other
spec: {api: {fingerprint: 'AA:BB'}}  # ünïcode\r
---
kind: Node
metadata: {name: home}
spec: {api: {fingerprint: AA:BB}}
"""


@pytest.mark.parametrize("written", ["AA:BB", "'AA:BB'", '"AA:BB"', '"A\\u0041:BB"', "00:11:22"])
def test_that_scalar_and_nothing_else(written):
    text = TEXT.replace("%s", written)
    quote = written[0] if written[0] in "'\"" else ""
    assert edit.replace(text, "Cluster", "home", PATH, "CC:DD") == TEXT.replace("%s", f"{quote}CC:DD{quote}")


def test_in_a_flow_and_after_other_characters():
    text = TEXT.replace("%s", "AA:BB")
    assert edit.replace(text, "Cluster", "other", PATH, "CC") == text.replace("'AA:BB'", "'CC'")
    assert edit.replace(text, "Node", "home", PATH, "CC") == text.replace(
        "fingerprint: AA:BB}}\n", "fingerprint: CC}}\n"
    )


def test_a_byte_order_mark_and_windows_lines():
    text = "\ufeff" + TEXT.replace("%s", "AA:BB").replace("\r", "").replace("\n", "\r\n")
    assert edit.replace(text, "Cluster", "home", PATH, "CC") == text.replace("AA:BB   #", "CC   #")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.replace("    fingerprint: %s   # keep me\n", ""), "is not in this text"),
        (TEXT.replace("%s", "AA").replace("name: home", "name: elsewhere"), "is not in this text"),
        (TEXT.replace("%s", "|\n      AA:BB"), "cannot be replaced alone"),
        (TEXT.replace("%s", "&a AA").replace("[https://a:1]", "[*a]"), "cannot be replaced alone"),
        (TEXT.replace("%s", "[AA]"), "is not in this text"),
        ("kind: Cluster\nmetadata: {name: home}\nspec: 3\n", "is not in this text"),
        ("{", "is not"),
        ("", "is not in this text"),
    ],
)
def test_what_cannot_be_replaced_surely(text, says):
    with pytest.raises(errors.Rejected, match=says):
        edit.replace(text, "Cluster", "home", PATH, "CC")


def test_a_value_that_would_not_be_the_same_when_read():
    with pytest.raises(errors.Rejected):
        edit.replace(TEXT.replace("%s", "AA"), "Cluster", "home", PATH, "x # y")
    assert yamltree.read(TEXT.replace("%s", "AA"), "")[1] == []
