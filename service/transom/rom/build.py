"""Writes option ROMs, byte for byte as EDK2's EfiRom does (measured against it)."""

from __future__ import annotations

import dataclasses
import struct

from transom import errors
from transom.rom import layout, pe, span, tiano


@dataclasses.dataclass(frozen=True)
class Options:
    """What goes into the headers of every image; ``devices`` holds at least one id, the first is the PCIR's own."""

    vendor: int
    devices: tuple[int, ...]
    compress: bool = False
    pci23: bool = False
    class_code: int = 0
    revision: int = 0
    last: bool = True

    def __post_init__(self) -> None:
        if not self.devices:
            raise errors.RomError("a ROM needs at least one device id", hint="--device 8086:9bc8")
        if self.pci23 and len(self.devices) > 1:
            raise errors.RomError("the PCI 2.3 form has no list of device ids", hint="leave out --pci23")
        for name, value, bits in (
            ("vendor id", self.vendor, 16),
            ("class code", self.class_code, 24),
            ("revision", self.revision, 16),
            *(("device id", device, 16) for device in self.devices),
        ):
            if not 0 <= value < 1 << bits:
                raise errors.RomError(f"{name} 0x{value:X} has more than {bits} bits")


def rom(drivers: tuple[bytes, ...], options: Options, *, legacy: bytes | None = None) -> bytes:
    """A whole ROM: the legacy image, if any, in front, then one EFI image for each driver (a PE file's bytes)."""
    count = len(drivers) + (legacy is not None)
    if not count:
        raise errors.RomError("nothing to build a ROM from")
    images = [] if legacy is None else [legacy_image(legacy, last=options.last and count == 1)]
    for place, driver in enumerate(drivers, start=1):
        images.append(efi_image(driver, options, last=options.last and place == len(drivers)))
    whole = b"".join(images)
    if len(whole) > layout.LIMIT:
        raise errors.RomError(f"the ROM would be {len(whole)} bytes, more than {layout.LIMIT}")
    return whole


def efi_image(driver: bytes, options: Options, *, last: bool) -> bytes:
    """One EFI image. Padding stands before a plain body, so that the PE ends with the image, and after a compressed one."""
    header = pe.parse(span.Span.of(driver))
    body = tiano.compress(driver) if options.compress else driver
    device_list = _device_list(options.devices)
    start = layout.HEADER_SIZE + _pcir_size(options) + len(device_list)
    blocks = layout.blocks(start + len(body))
    if blocks * layout.BLOCK > layout.LIMIT:
        raise errors.RomError(f"a driver of {len(driver)} bytes makes an image of more than {layout.LIMIT}")
    padding = b"\xff" * (blocks * layout.BLOCK - start - len(body))
    body_offset = start if options.compress else start + len(padding)
    if body_offset > 0xFFFF:
        raise errors.RomError(f"{len(options.devices)} device ids leave no room for the body's offset")
    head = struct.pack(
        "<2sH4sHHH8xHHxx",
        layout.SIGNATURE,
        blocks,
        layout.EFI_SIGNATURE,
        header.subsystem,
        header.machine,
        options.compress,
        body_offset,
        layout.HEADER_SIZE,
    )
    fill = (body, padding) if options.compress else (padding, body)
    return b"".join((head, _pcir(options, blocks, last=last), device_list, *fill))


def legacy_image(image: bytes, *, last: bool) -> bytes:
    """A legacy image as EfiRom places it: length and last flag rewritten, checksum in the file's last byte, then 0xFF."""
    window = span.Span.of(image)
    if not window.startswith(layout.SIGNATURE):
        raise errors.RomError("the legacy image does not start with 55 AA", offset=0)
    pcir = window.u16(layout.PCIR_POINTER)
    if not window.startswith(layout.PCIR, pcir) or pcir + layout.PCIR_SIZE_23 > len(image):
        raise errors.RomError("the legacy image has no PCI data structure", offset=pcir)
    blocks = layout.blocks(len(image))
    if blocks * layout.BLOCK > layout.LIMIT:
        raise errors.RomError(f"the legacy image has {len(image)} bytes, more than {layout.LIMIT}")
    out = bytearray(image)
    struct.pack_into("<H", out, pcir + layout.IMAGE_LENGTH, blocks)
    out[pcir + layout.INDICATOR] = layout.LAST if last else 0
    if out[pcir + layout.CODE_TYPE] != layout.TYPE_EFI:
        out[-1] = 0
        out[-1] = -sum(out) & 0xFF
    return bytes(out).ljust(blocks * layout.BLOCK, b"\xff")


def _pcir_size(options: Options) -> int:
    return layout.PCIR_SIZE_23 if options.pci23 else layout.PCIR_SIZE_3


def _device_list(devices: tuple[int, ...]) -> bytes:
    """All ids and a closing 0000, only when there is more than one."""
    return struct.pack(f"<{len(devices) + 1}H", *devices, 0) if len(devices) > 1 else b""


def _pcir(options: Options, blocks: int, *, last: bool) -> bytes:
    size = _pcir_size(options)
    return struct.pack(
        "<4sHHHHB3sHHBB",
        layout.PCIR,
        options.vendor,
        options.devices[0],
        size if len(options.devices) > 1 else 0,
        size,
        0 if options.pci23 else 3,
        options.class_code.to_bytes(3, "little"),
        blocks,
        options.revision,
        layout.TYPE_EFI,
        layout.LAST if last else 0,
    ).ljust(size, b"\0")
