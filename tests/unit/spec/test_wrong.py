"""Wrong documents: the exact lines that their writer reads. A case is a folder of documents and ``want.txt``."""

from __future__ import annotations

import pathlib

import pytest

from transom import errors
from transom.spec import loader

CASES = sorted((pathlib.Path(__file__).parents[2] / "golden" / "spec" / "wrong").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_mistake_is_told(case: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    with pytest.raises(errors.SpecError) as caught:
        loader.load([pathlib.Path()])
    assert caught.value.problems == (case / "want.txt").read_text(encoding="utf-8").splitlines()


def test_no_message_carries_a_secret_or_a_control_character() -> None:
    for case in CASES:
        told = (case / "want.txt").read_text(encoding="utf-8")
        assert all(line.isprintable() for line in told.splitlines())
        assert not any(secret in told for secret in ("hunter2", "8c5d7a54", "b3BlbnNza"))
