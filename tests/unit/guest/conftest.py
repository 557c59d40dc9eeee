"""Where the golden data of this folder is."""

from __future__ import annotations

import pathlib

import pytest

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "guest"


@pytest.fixture
def golden() -> pathlib.Path:
    return GOLDEN
