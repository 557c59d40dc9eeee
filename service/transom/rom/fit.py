"""Whether a ROM can work for a guest firmware, and what is missing."""

from __future__ import annotations

import dataclasses
import enum

from transom.rom import graphics, layout, pe, rominfo
from transom.rom import roles as role


class Verdict(enum.Enum):
    """``DARK``: the guest's own driver will work, but there is no picture before it starts."""

    WORKS = "works"
    DARK = "works, without boot picture"
    CANNOT = "cannot work"


@dataclasses.dataclass(frozen=True)
class Fit:
    """The verdict for one guest firmware; ``missing`` names what would make it better, in words."""

    firmware: str
    verdict: Verdict
    missing: tuple[str, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Loaded:
    """An image that stood its checks, and what its driver does."""

    image: rominfo.Image
    roles: frozenset[role.Role]


def seabios(loaded: tuple[Loaded, ...]) -> Fit:
    """SeaBIOS runs type 0 images only; any other ROM just passes QEMU's test that there is one."""
    if any(one.image.code_type == layout.TYPE_LEGACY for one in loaded):
        return Fit("seabios", Verdict.WORKS, (), "a legacy image that SeaBIOS runs")
    if not loaded:
        return Fit("seabios", Verdict.CANNOT, ("an image",), "no image is good")
    reason = "SeaBIOS never runs an EFI image; it is enough for the guest's own driver"
    return Fit("seabios", Verdict.DARK, ("a legacy (type 0) image, for a boot picture",), reason)


def ovmf(loaded: tuple[Loaded, ...]) -> Fit:
    """OVMF runs X64 drivers. For Intel graphics it takes three: assignment, policy and GOP."""
    x64 = [one for one in loaded if one.image.machine == pe.X64]
    if not x64:
        return Fit("ovmf", Verdict.CANNOT, ("an X64 EFI driver",), "OVMF runs X64 EFI images only")
    if not any(one.image.vendor == graphics.INTEL for one in x64):
        return Fit("ovmf", Verdict.WORKS, (), "an X64 EFI driver; the rule of three drivers is Intel graphics' only")
    have = frozenset().union(*(one.roles for one in x64))
    missing = tuple(one.value for one in role.Role if one not in have)
    if not missing:
        return Fit("ovmf", Verdict.WORKS, (), "IgdAssignmentDxe, PlatformGopPolicy and the GOP driver are there")
    if role.Role.ASSIGNMENT not in have:
        reason = "without IgdAssignmentDxe the OpRegion and the stolen memory are not set up"
        return Fit("ovmf", Verdict.CANNOT, missing, reason)
    if role.Role.GOP in have:
        return Fit("ovmf", Verdict.CANNOT, missing, "without PlatformGopPolicy the GOP driver does not start")
    return Fit(
        "ovmf", Verdict.DARK, missing, "no GOP driver: the OpRegion is set up, the guest's own driver gives the picture"
    )


FIRMWARES = {"seabios": seabios, "ovmf": ovmf}
