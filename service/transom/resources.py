"""Finds ``config/``: shipped inside the package, or beside ``service/`` in a checkout. Nowhere else, and no guessing."""

from __future__ import annotations

import pathlib

from transom import errors


def config_dir() -> pathlib.Path:
    """The folder that holds ``recipes/`` and ``examples/``; TransomError when the installation lacks it."""
    package = pathlib.Path(__file__).resolve().parent
    for folder in (package / "config", package.parents[1] / "config"):
        if (folder / "recipes").is_dir():
            return folder
    raise errors.TransomError(
        f"{package / 'config'} is missing", hint="install Transom again: its wheel holds this folder"
    )


def recipes_dir() -> pathlib.Path:
    """The recipes that ship with Transom."""
    return config_dir() / "recipes"


def examples_dir() -> pathlib.Path:
    """The example documents that ship with Transom."""
    return config_dir() / "examples"
