"""What is refused before anything is looked at, and in which order."""

from __future__ import annotations

import click.testing
import pytest

from transom.cli import main


@pytest.fixture
def run(tmp_path):
    def run(*words: str) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main.transom, [*words, "--state", str(tmp_path / "state")])

    return run


@pytest.mark.parametrize("words", [("rm", "nosuch"), ("release", "nosuch", "--yes")])
def test_a_document_that_is_not_there_is_said_before_anything_is_asked(run, words):
    done = run(*words)
    assert "there is no document 'nosuch' (there are: none)" in done.stderr
    assert "nobody to ask" not in done.stderr
    assert done.exit_code == 1


def test_what_is_no_hash_is_refused_as_such(run):
    done = run("apply", "--approve", "zz")
    assert "'zz' is not a plan hash" in done.stderr
