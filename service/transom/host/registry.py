"""Every host setting, found by walking ``settings/``: a new setting is one file there."""

from __future__ import annotations

import importlib
import pkgutil

from transom.host import setting, settings

_ORDER = (
    "kernel_cmdline",
    "etc_kernel_cmdline",
    "modules",
    "vfio_ids",
    "driver_override",
    "blacklist",
    "softdep",
    "module_options",
    "sysctl",
)
"""The order in which they are planned and shown; a setting that is not named here comes after, by key."""


def _found() -> tuple[setting.HostSetting, ...]:
    modules = [
        importlib.import_module(f"{settings.__name__}.{info.name}") for info in pkgutil.iter_modules(settings.__path__)
    ]
    rank = {key: at for at, key in enumerate(_ORDER)}
    return tuple(
        sorted((module.SETTING for module in modules), key=lambda one: (rank.get(one.key, len(rank)), one.key))
    )


SETTINGS: tuple[setting.HostSetting, ...] = _found()


def by_key(key: str) -> setting.HostSetting:
    """The setting with this key; KeyError when there is none."""
    return {one.key: one for one in SETTINGS}[key]
