"""Every VM field there is, found by walking ``fields``; a key that none owns is compared as plain text."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping
from types import ModuleType

from transom.guest import field, fields, props
from transom.guest.fields import making

# Keys without a field of their own that a token may write; PVE refuses every key that it does not list to all but root
# (qemu-server 9.2.6, check_vm_modify_config_perm: "new options will be checked here").
_TOKEN_KEYS = frozenset({"keyboard", "vmstatestorage", "cipassword", "citype", "ciuser", "searchdomain"})


def _modules() -> tuple[ModuleType, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(fields.__path__))
    return tuple(importlib.import_module(f"{fields.__name__}.{name}") for name in names)


def _fields() -> tuple[field.VmField, ...]:
    return tuple(one for module in _modules() for one in getattr(module, "FIELDS", ()))


def _defaults() -> dict[str, str]:
    return {key: value for module in _modules() for key, value in getattr(module, "DEFAULTS", {}).items()}


FIELDS: tuple[field.VmField, ...] = _fields()
DEFAULTS: Mapping[str, str] = _defaults()
"""What PVE takes a key for that is not in the configuration, for the keys where that is fixed; ``absent`` knows the others."""


@functools.lru_cache(maxsize=1024)
def field_for(key: str) -> field.VmField:
    """The field that owns ``key``; a plain-text one when none does."""
    owner = next((one for one in FIELDS if one.key.fullmatch(key)), None)
    if owner is not None:
        return owner
    return making.plain(key, re.escape(key), props.text, route=making.api if key in _TOKEN_KEYS else making.root)


def normal(key: str, value: str) -> str:
    """``value`` as PVE writes it where that is one boolean or whole number: ``yes`` is ``1``.

    Others, and wrong ones, as they are.
    """
    owner = field_for(key)
    if owner.parse not in (props.boolean, props.integer):
        return value
    try:
        return str(owner.parse(value))
    except ValueError:
        return value


def route(key: str, *values: str) -> field.Route:
    """Who may change ``key`` between these values (the one to write and the one that is there): root when either is root's.

    A token may not replace or delete what it may not set.
    """
    owner = field_for(key)
    return field.Route.ROOT if any(owner.route(value) is field.Route.ROOT for value in values) else field.Route.API
