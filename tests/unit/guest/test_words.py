"""Splitting ``args``: ``golden/args.json`` is what Perl's own Text::ParseWords made of each line."""

from __future__ import annotations

import json
import pathlib

import pytest

from transom.guest import words


def test_words_as_perl_splits_them(golden: pathlib.Path) -> None:
    for case in json.loads((golden / "args.json").read_text()):
        try:
            found = list(words.split(case["line"]))
        except words.Unbalanced:
            found = []
        assert found == case["words"], case["line"]


@pytest.mark.parametrize("line", ["-name 'x", '"x', "a\\", "a 'b\\'"])
def test_what_drops_all_words_is_told_apart_from_no_words(line: str) -> None:
    with pytest.raises(words.Unbalanced):
        words.split(line)
    assert words.split("  ") == ()
