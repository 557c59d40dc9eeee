"""Walks the types of documents: which part of a model stands at a path."""

from __future__ import annotations

import typing
from typing import Any, TypeGuard

import pydantic

from transom.spec import problems


def inside(holder: Any, part: problems.Part) -> Any:
    """The type at ``part`` of a model, a mapping or a list, without ``Annotated`` and ``| None``; None when there is nothing."""
    if is_model(holder):
        field = holder.model_fields.get(str(part))
        return bare(field.annotation) if field else None
    arguments = typing.get_args(holder)
    if typing.get_origin(holder) is dict:
        return bare(arguments[1])
    return bare(arguments[0]) if typing.get_origin(holder) is tuple else None


def bare(annotation: Any) -> Any:
    """Without ``Annotated`` and without ``| None``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return bare(typing.get_args(annotation)[0])
    options = [option for option in typing.get_args(annotation) if option is not type(None)]
    if type(None) in typing.get_args(annotation) and len(options) == 1:
        return bare(options[0])
    return annotation


def at(kind: type[pydantic.BaseModel], path: tuple[problems.Part, ...]) -> Any:
    """The type at ``path``; follows mappings and lists to what they hold. None when there is nothing."""
    holder: Any = kind
    for part in path:
        holder = inside(holder, part)
    return holder


def is_model(holder: Any) -> TypeGuard[type[pydantic.BaseModel]]:
    return isinstance(holder, type) and issubclass(holder, pydantic.BaseModel)


def fields(holder: Any) -> list[str]:
    """The fields of a model as documents call them; none of anything else."""
    if not is_model(holder):
        return []
    return [field.alias or name for name, field in holder.model_fields.items()]
