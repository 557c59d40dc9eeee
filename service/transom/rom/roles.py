"""What an image does for an assigned Intel GPU, told from its content: OVMF needs three drivers (QEMU's documentation on IGD)."""

from __future__ import annotations

import enum

from transom.rom import gop, guids, span

_FW_CFG = b"etc/igd-opregion"  # the fw_cfg file without which IgdAssignmentDxe unloads
_POLICY = guids.raw(guids.PLATFORM_GOP_POLICY)
_KNOWN_BAD_SIZE = 10 * 1024  # a build whose compiler stripped the driver is about 9.6 KB


class Role(enum.Enum):
    """The three drivers; one image may be two of them."""

    ASSIGNMENT = "IgdAssignmentDxe"
    POLICY = "PlatformGopPolicy"
    GOP = "GOP driver"


def of(driver: span.Span) -> frozenset[Role]:
    """The roles of a PE image. The GOP driver asks for the policy's protocol, so it too holds that GUID."""
    is_gop = driver.find(gop.NAME_BYTES) >= 0
    found = {Role.GOP} if is_gop else set()
    if driver.find(_FW_CFG) >= 0:
        found.add(Role.ASSIGNMENT)
    if driver.find(_POLICY) >= 0 and not is_gop:
        found.add(Role.POLICY)
    return frozenset(found)


def doubt(driver: span.Span) -> str:
    """Why a helper driver may not do its work, or nothing."""
    found = of(driver)
    if Role.ASSIGNMENT in found and len(driver) < _KNOWN_BAD_SIZE:
        return f"IgdAssignmentDxe has only {len(driver)} bytes: a known bad build, stripped by its compiler, has about 9.6 KB"
    if not found:
        return "neither IgdAssignmentDxe (it would name etc/igd-opregion) nor PlatformGopPolicy"
    return ""
