"""The fields of a Recipe document: what a generation of graphics needs, each line with its reason."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from transom.spec import base, fields


class HostLine(base.Base):
    """One host setting with its reason, and the kernels that need it."""

    value: fields.KernelToken
    why: fields.Prose
    kernel: fields.Versions | None = None


class ModuleLine(base.Base):
    """One kernel module with its reason, and the kernels that need it."""

    value: fields.Module
    why: fields.Prose
    kernel: fields.Versions | None = None


class OptionLine(base.Base):
    """One option of a kernel module with its reason, and the kernels that need it."""

    value: fields.ModuleOption
    why: fields.Prose
    kernel: fields.Versions | None = None


class SysctlLine(base.Base):
    """One setting under /proc/sys with its reason, and the kernels that need it."""

    value: fields.Sysctl
    why: fields.Prose
    kernel: fields.Versions | None = None


class RecipeHost(base.Base):
    """What the host needs for the recipe."""

    kernel_cmdline: tuple[HostLine, ...] = ()
    modules: tuple[ModuleLine, ...] = ()
    blacklist: tuple[ModuleLine, ...] = ()
    module_options: tuple[OptionLine, ...] = ()
    sysctl: tuple[SysctlLine, ...] = ()


class ConfigLine(base.Base):
    """One key of the VM's configuration with its reason, and the QEMU versions that need it."""

    key: fields.RawKey
    value: fields.RawValue
    why: fields.Prose
    qemu: fields.Versions | None = None


class UnlistedLine(ConfigLine):
    """One key that only a newer PVE knows, with its reason, and the QEMU versions that need it."""

    key: fields.UnlistedKey


class Requirement(base.Base):
    """A key of the VM that the recipe leaves to the document, but not every value of it. ``absent``: PVE's default serves too."""

    key: fields.RawKey
    values: Annotated[tuple[fields.Text, ...], pydantic.Field(min_length=1)]
    why: fields.Prose
    absent: fields.Switch = False


class RecipeGuest(base.Base):
    """What the VM needs for the recipe; ``hostpci`` holds options of the passed-through device."""

    config: tuple[ConfigLine, ...] = ()
    unlisted: tuple[UnlistedLine, ...] = ()
    hostpci: dict[fields.HostpciKey, fields.OptionValue] = pydantic.Field(default_factory=dict)
    require: tuple[Requirement, ...] = ()


class Refusal(base.Base):
    """Where the recipe must not be used. QEMU versions and devices must both match; what is left out matches all."""

    why: fields.Prose
    qemu: fields.Versions | None = None
    devices: tuple[fields.PciIdGlob, ...] = ()


class RecipeSpec(base.Base):
    """What a generation of graphics needs, as data. ``vfio_ids: device`` binds the VM's device to vfio-pci from boot on."""

    version: Annotated[fields.Whole, pydantic.Field(ge=1)]
    title: fields.Prose
    host: RecipeHost = RecipeHost()
    vfio_ids: Literal["device"] | None = None
    guest: RecipeGuest = RecipeGuest()
    refuse: tuple[Refusal, ...] = ()
