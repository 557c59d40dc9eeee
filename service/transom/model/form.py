"""Every value as JSON and back: golden cases, the store and the API all use this form."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import pydantic

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """A frozen value as plain JSON types; sets come out sorted, so that equal values dump equal."""
    return _ordered(_adapter(type(value)).dump_python(value, mode="json"), value)


def from_json(kind: type[T], data: Any) -> T:
    """The value of ``kind`` that ``data`` describes; pydantic.ValidationError when it does not."""
    value: T = _adapter(kind).validate_python(data)
    return value


_ADAPTERS: dict[object, pydantic.TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> pydantic.TypeAdapter[Any]:
    """Made once a type: building one costs milliseconds."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = pydantic.TypeAdapter(kind)
    return _ADAPTERS[kind]


def _ordered(dumped: Any, value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(dumped)
    if dataclasses.is_dataclass(value) and isinstance(dumped, dict):
        return {name: _ordered(item, getattr(value, name)) for name, item in dumped.items()}
    return dumped
