"""Where the fields of a PCI option ROM stand (PCI Firmware 3.0, 5.1; UEFI 2.10, 14.4.2), in bytes from an image's start."""

from __future__ import annotations

BLOCK = 512
LIMIT = 16 * 1024 * 1024  # EfiRom's limit, for one image and for all together

SIGNATURE = b"\x55\xaa"
EFI_SIGNATURE = b"\xf1\x0e\x00\x00"

# the ROM header of an EFI image
INITIALIZATION_SIZE = 0x02
EFI_SIGNATURE_AT = 0x04
SUBSYSTEM = 0x08
MACHINE = 0x0A
COMPRESSION = 0x0C
BODY_OFFSET = 0x16
PCIR_POINTER = 0x18
HEADER_SIZE = 0x1C

# the PCI data structure, from its own start
PCIR = b"PCIR"
VENDOR = 0x04
DEVICE = 0x06
DEVICE_LIST = 0x08
PCIR_LENGTH = 0x0A
PCIR_REVISION = 0x0C
CLASS_CODE = 0x0D
IMAGE_LENGTH = 0x10
CODE_REVISION = 0x12
CODE_TYPE = 0x14
INDICATOR = 0x15
PCIR_SIZE_3 = 0x1C
PCIR_SIZE_23 = 0x18

LAST = 0x80
TYPE_LEGACY = 0
TYPE_EFI = 3
CODE_TYPES = {0: "legacy", 1: "Open Firmware", 2: "HP PA-RISC", 3: "EFI"}


def blocks(size: int) -> int:
    """``size`` in bytes, rounded up to whole blocks, in blocks."""
    return -(-size // BLOCK)
