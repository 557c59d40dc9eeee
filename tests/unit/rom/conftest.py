"""Where the golden ROM cases are, and the maker of firmware."""

from __future__ import annotations

import importlib.util
import pathlib
import types

import pytest

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parents[1] / "golden" / "rom"


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    return GOLDEN


@pytest.fixture(scope="session")
def make() -> types.ModuleType:
    """``compose.py`` beside this file: no package of tests is imported."""
    spec = importlib.util.spec_from_file_location("compose", HERE / "compose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
