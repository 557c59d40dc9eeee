"""The parts of these tests, and the fakes of the loop's own: no package of tests is imported."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator

import pytest

HERE = pathlib.Path(__file__).parent


def _load(path: pathlib.Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(f"faults_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def line() -> types.ModuleType:
    return _load(HERE / "line.py")


@pytest.fixture(scope="session")
def fakes() -> types.ModuleType:
    return _load(HERE.parents[1] / "unit" / "reconcile" / "conftest.py")


@pytest.fixture
def bench(tmp_path: pathlib.Path, line: types.ModuleType, fakes: types.ModuleType) -> Iterator[Callable[[int], object]]:
    """A seed → a node of its own; the one before is closed."""
    made, bench = [], _load(HERE / "bench.py")
    # In memory, where there is such a place: each of thousands of runs commits to disk dozens of times.
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as top:

        def make(seed: int, *, shell: bool = True):
            while made:
                made.pop().close()
            shutil.rmtree(pathlib.Path(top, str(seed - 1)), ignore_errors=True)
            folder = pathlib.Path(top, str(seed))
            folder.mkdir()
            made.append(bench.Bench(folder, seed, line, fakes, shell=shell))
            return made[-1]

        yield make
        while made:
            made.pop().close()
