"""Reads the settings: the defaults that ship, ``transom.yaml`` in the state folder over them, the environment over both."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping

import pydantic
import yaml

from transom import errors, resources
from transom.reconcile import settings

NAME = "transom.yaml"


def load(folder: pathlib.Path, environment: Mapping[str, str] = os.environ) -> settings.Settings:
    """The defaults that ship, under ``transom.yaml`` in the state folder, under ``TRANSOM_SCAN_EVERY`` and its like. SpecError."""
    names = {field.name: f"TRANSOM_{field.name.upper()}" for field in dataclasses.fields(settings.Settings)}
    found: dict[str, object] = {}
    for path in (resources.config_dir() / NAME, folder / NAME):
        found |= _yaml(path)
    found |= {name: environment[variable] for name, variable in names.items() if variable in environment}
    if unknown := sorted(set(found) - set(names)):
        raise errors.SpecError([f"{name} is no setting; there are {', '.join(names)}" for name in unknown])
    given = {name: variable for name, variable in names.items() if variable in environment}
    if "scan_jitter" not in {*_yaml(folder / NAME), *given}:
        found["scan_jitter"] = _jitter(found)
    try:
        return pydantic.TypeAdapter(settings.Settings).validate_python(found)
    except pydantic.ValidationError as error:
        wrong = [_setting_problem(one["loc"], one["msg"], given) for one in error.errors()]
        raise errors.SpecError(wrong) from error


def _jitter(found: Mapping[str, object]) -> object:
    """The shipped one, cut to ``scan_every`` where that is shorter: who shortens the one need not know the other."""
    try:
        return min(float(str(found["scan_jitter"])), float(str(found["scan_every"])))
    except ValueError:
        return found["scan_jitter"]  # what is no number is told with the rest


def _setting_problem(place: tuple[str | int, ...], message: str, given: Mapping[str, str]) -> str:
    """With where the values came from: the variables that are set, or the file."""
    named = [given[str(name)] for name in place if name in given] or [
        variable for name, variable in given.items() if name in message
    ]
    where = ", ".join(named) or NAME
    return f"{where}: {'.'.join(map(str, place))}{': ' if place else ''}{message.removeprefix('Value error, ')}"


def _yaml(path: pathlib.Path) -> dict[str, object]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise errors.SpecError([f"{path}: cannot be read: {error}"]) from error
    if data is not None and not isinstance(data, dict):
        raise errors.SpecError([f"{path}: is no mapping of settings to values"])
    return data or {}
