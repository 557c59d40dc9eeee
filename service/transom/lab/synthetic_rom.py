"""The lab's option ROM: valid headers around a driver that is none. It can be placed, hashed and parsed, never run.

Laid out as EfiRom wraps a bare EFI driver (PCI Firmware Specification 3.x; UEFI 2.x, 14.4.2): headers, 0xFF, then a PE file that
ends exactly where the image ends. Vendor drivers may not be shipped, so this stands in for one; it holds no graphics driver.
"""

from __future__ import annotations

import hashlib
import struct

SIZE = 0x12000
VENDOR, DEVICE = 0x8086, 0x9BC8

_PCIR = 0x1C
_HEADERS = 0x38
_DRIVER = 0x11E60
"""Size of the PE file: as large as the driver that the ROM stands in for."""
_X64, _BOOT_DRIVER = 0x8664, 0xB
_MARK = b"TRANSOM LAB: SYNTHETIC OPTION ROM, NOT A DRIVER. "
_PE_AT, _TEXT_AT, _ALIGN = 0x80, 0x200, 0x20


def igd_rom() -> bytes:
    """The whole file, 0x12000 bytes, always the same: one EFI image for 8086:9bc8."""
    body = SIZE - _DRIVER
    head = _efi_header(body) + _pci_data()
    return head + b"\xff" * (body - len(head)) + _driver()


def igd_driver() -> bytes:
    """The PE file in it, 73,312 bytes: what stands in for a BIOS file in the lab. Wrapped, it gives ``igd_rom``."""
    return _driver()


def _efi_header(body: int) -> bytes:
    head = struct.pack("<2sHIHHH8sHH", b"\x55\xaa", SIZE // 512, 0xEF1, _BOOT_DRIVER, _X64, 0, bytes(8), body, _PCIR)
    return head.ljust(_PCIR, b"\0")


def _pci_data() -> bytes:
    """PCIR revision 3, class 000000, code type 3 (EFI), last image."""
    fields = (b"PCIR", VENDOR, DEVICE, 0, _HEADERS - _PCIR, 3, bytes(3), SIZE // 512, 0, 3, 0x80)
    return struct.pack("<4sHHHHB3sHHBB", *fields).ljust(_HEADERS - _PCIR, b"\0")


def _driver() -> bytes:
    """A PE32+ image of one section, whose code returns EFI_UNSUPPORTED at once and whose rest is filler."""
    size = _DRIVER - _TEXT_AT
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", _X64, 1, 0, 0, 0, 0xF0, 0x2022)
    standard = struct.pack("<HBBIIIII", 0x20B, 0, 0, size, 0, 0, _TEXT_AT, _TEXT_AT)
    windows = struct.pack(
        "<QIIHHHHHHIIIIHH", 0, _ALIGN, _ALIGN, 0, 0, 0, 0, 0, 0, 0, _DRIVER, _TEXT_AT, 0, _BOOT_DRIVER, 0
    )
    rest = struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16) + bytes(16 * 8)
    section = struct.pack("<8sIIIIIIHHI", b".text", size, _TEXT_AT, size, _TEXT_AT, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", _PE_AT)
    headers = (dos.ljust(_PE_AT, b"\0") + coff + standard + windows + rest + section).ljust(_TEXT_AT, b"\0")
    code = b"\x48\xb8\x03\0\0\0\0\0\0\x80\xc3"  # mov rax, EFI_UNSUPPORTED; ret
    return headers + code + _filler(size - len(code))


def _filler(size: int) -> bytes:
    """Text that says what this is, between blocks that do not compress: so that a damaged byte anywhere is a damaged file."""
    text = bytearray()
    count = 0
    while len(text) < size:
        text += _MARK + hashlib.sha256(_MARK + str(count).encode()).digest()
        count += 1
    return bytes(text[:size])
