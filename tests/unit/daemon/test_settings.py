"""Settings: what ships, a file of one's own, the environment; every mistake is told."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from transom import errors, resources
from transom.reconcile import settings, settings_file


def test_what_ships_is_what_the_code_has():
    shipped = yaml.safe_load((resources.config_dir() / settings_file.NAME).read_text())
    assert shipped == dataclasses.asdict(settings.Settings())


def test_a_file_over_what_ships_and_the_environment_over_both(tmp_path):
    (tmp_path / settings_file.NAME).write_text("scan_every: 60\nsettle: 1\n")
    found = settings_file.load(tmp_path, {"TRANSOM_SETTLE": "2.5", "TRANSOM_STATE": "/x"})
    assert found == dataclasses.replace(settings.Settings(), scan_every=60, settle=2.5)


@pytest.mark.parametrize(
    "text",
    [
        "scan_evry: 60\n",
        "scan_every: soon\n",
        "- 1\n",
        "a: [\n",
        "workers: 1.5\n",
        "scan_every: 0\n",
        "settle: -1\n",
        "scan_jitter: 301\n",
        "confirm_within: 29\n",
    ],
)
def test_mistakes_are_told(tmp_path, text):
    (tmp_path / settings_file.NAME).write_text(text)
    with pytest.raises(errors.SpecError):
        settings_file.load(tmp_path, {})


def test_the_default_jitter_gives_way_and_a_given_one_is_told_by_its_name(tmp_path):
    assert settings_file.load(tmp_path, {"TRANSOM_SCAN_EVERY": "15"}).scan_jitter == 15
    with pytest.raises(errors.SpecError, match="TRANSOM_SCAN_EVERY, TRANSOM_SCAN_JITTER: scan_jitter must not"):
        settings_file.load(tmp_path, {"TRANSOM_SCAN_EVERY": "15", "TRANSOM_SCAN_JITTER": "20"})
    with pytest.raises(
        errors.SpecError, match="TRANSOM_CONFIRM_WITHIN: confirm_within must be from 30 to 86400 seconds: 5;"
    ):
        settings_file.load(tmp_path, {"TRANSOM_CONFIRM_WITHIN": "5"})
    with pytest.raises(errors.SpecError, match="TRANSOM_WORKERS: workers: "):
        settings_file.load(tmp_path, {"TRANSOM_WORKERS": "many"})
