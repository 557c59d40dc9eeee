"""Tokens and media types by themselves."""

from __future__ import annotations

import pytest

from transom.api import accept, auth, problem

JSON, MD = "application/json", "text/markdown"


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        (MD, MD),
        ("text/*", MD),
        ("text/*;q=0.5, application/json;q=0.4", MD),
        ("application/json, text/markdown", JSON),
        ("text/markdown;q=0, */*", JSON),
        ("text/html", JSON),
        ("TEXT/MARKDOWN ; Q=1", MD),
        (";;,;q=x,text/markdown;q=nonsense", JSON),
    ],
)
def test_what_is_accepted(header, chosen):
    assert accept.choose(header, (JSON, MD)) == chosen


def test_secrets_differ_and_can_be_found():
    first, second = auth.mint(lambda count: b"\x00" * count), auth.mint(lambda count: b"\xff" * count)
    assert first != second
    assert first.startswith("transom_")
    assert len(first) == len("transom_") + 43
    assert len(auth.digest(first)) == 64


def test_a_local_token_is_known_beside_those_that_are_kept():
    local = auth.Known("local", auth.Scope.ADMIN, auth.digest("s"))
    gate = auth.Gate(lambda _: None, (local,))
    assert gate.caller("Bearer s") == auth.Caller("local", auth.Scope.ADMIN)
    with pytest.raises(problem.Problem) as told:
        gate.caller("Bearer t")
    assert told.value.status == 401


def test_a_look_up_that_gives_another_token_is_not_believed():
    gate = auth.Gate(lambda _: auth.Known("x", auth.Scope.ADMIN, auth.digest("other")))
    with pytest.raises(problem.Problem):
        gate.caller("Bearer s")


def test_scopes_include_those_before():
    for have in auth.Scope:
        for need in auth.Scope:
            if have >= need:
                auth.require(auth.Caller("x", have), need)
            else:
                with pytest.raises(problem.Problem, match="403"):
                    auth.require(auth.Caller("x", have), need)
