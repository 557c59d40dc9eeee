"""Reads option ROMs as firmware does: image after image by ImageLength, inside bounds, never by searching for 55 AA."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

from transom import errors
from transom.rom import layout, span


@dataclasses.dataclass(frozen=True)
class Image:
    """One image as its headers tell; the EFI fields are -1 for other code types. ``offset`` counts from the ROM's start.

    ``ids_end`` is where the list of ids ends, its closing 0000 included, from the image's start; 0 when there is none.
    ``checksum_ok`` covers what a BIOS sums, the initialization size, and means nothing for EFI images.
    """

    offset: int
    size: int
    code_type: int
    vendor: int
    devices: tuple[int, ...]
    class_code: int
    pcir_offset: int
    pcir_revision: int
    revision: int
    last: bool
    initialization_size: int
    pcir_length: int
    ids_end: int
    checksum_ok: bool
    sha256: str
    efi_signature_ok: bool = False
    subsystem: int = -1
    machine: int = -1
    compression: int = -1
    body_offset: int = -1

    @property
    def is_efi(self) -> bool:
        return self.code_type == layout.TYPE_EFI


def walk(rom: span.Span) -> Iterator[Image]:
    """The images one after another, up to the one flagged last or the end of the bytes.

    Raises ``errors.RomError`` where the next image cannot be read: what came before has been given out by then.
    """
    at = 0
    while at < len(rom):
        image = image_at(rom, at)
        yield image
        at += image.size
        if image.last:
            return


def image_at(rom: span.Span, at: int) -> Image:
    """The image at ``at``; ``errors.RomError`` when its headers are wrong or leave the bytes that are there."""
    if not rom.startswith(layout.SIGNATURE, at):
        raise errors.RomError("no ROM signature 55 AA", offset=rom.start + at)
    pointer = rom.u16(at + layout.PCIR_POINTER)
    pcir = at + pointer
    if pointer < layout.PCIR_POINTER + 2 or not rom.startswith(layout.PCIR, pcir):
        raise errors.RomError(
            f"PcirOffset 0x{pointer:X} does not lead to a PCIR", offset=rom.start + at + layout.PCIR_POINTER
        )
    size = rom.u16(pcir + layout.IMAGE_LENGTH) * layout.BLOCK
    if not size:
        raise errors.RomError("ImageLength is 0", offset=rom.start + pcir + layout.IMAGE_LENGTH)
    if at + size > len(rom):
        raise errors.RomError(
            f"ImageLength says {size} bytes, only {len(rom) - at} are there",
            offset=rom.start + pcir + layout.IMAGE_LENGTH,
        )
    if pointer + layout.PCIR_SIZE_23 > size:
        raise errors.RomError(f"PcirOffset 0x{pointer:X} leaves the image", offset=rom.start + at + layout.PCIR_POINTER)
    return _image(rom.sub(at, size), at, pointer)


def body(rom: span.Span, image: Image) -> span.Span:
    """What stands behind an EFI image's headers, padding included when it is compressed."""
    if not layout.HEADER_SIZE <= image.body_offset < image.size:
        raise errors.RomError(
            f"EfiImageHeaderOffset 0x{image.body_offset:X} leaves the image", offset=rom.start + image.offset
        )
    return rom.sub(image.offset + image.body_offset, image.size - image.body_offset)


def _image(window: span.Span, at: int, pcir: int) -> Image:
    code_type = window.u8(pcir + layout.CODE_TYPE)
    devices, ids_end = _devices(window, pcir)
    plain = Image(
        offset=at,
        size=len(window),
        code_type=code_type,
        vendor=window.u16(pcir + layout.VENDOR),
        devices=devices,
        class_code=window.uint(pcir + layout.CLASS_CODE, 3),
        pcir_offset=pcir,
        pcir_revision=window.u8(pcir + layout.PCIR_REVISION),
        revision=window.u16(pcir + layout.CODE_REVISION),
        last=bool(window.u8(pcir + layout.INDICATOR) & layout.LAST),
        initialization_size=window.u8(2) * layout.BLOCK,
        pcir_length=window.u16(pcir + layout.PCIR_LENGTH),
        ids_end=ids_end,
        checksum_ok=not window.sub(0, min(window.u8(2) * layout.BLOCK, len(window))).sum8(),
        sha256=hashlib.sha256(window.view()).hexdigest(),
    )
    if code_type != layout.TYPE_EFI:
        return plain
    return dataclasses.replace(
        plain,
        initialization_size=window.u16(layout.INITIALIZATION_SIZE) * layout.BLOCK,
        efi_signature_ok=window.startswith(layout.EFI_SIGNATURE, layout.EFI_SIGNATURE_AT),
        subsystem=window.u16(layout.SUBSYSTEM),
        machine=window.u16(layout.MACHINE),
        compression=window.u16(layout.COMPRESSION),
        body_offset=window.u16(layout.BODY_OFFSET),
    )


def _devices(window: span.Span, pcir: int) -> tuple[tuple[int, ...], int]:
    """The PCIR's id and, from revision 3 on, those of the list that it points to (closed by 0000); and where that ends."""
    first = window.u16(pcir + layout.DEVICE)
    pointer = window.u16(pcir + layout.DEVICE_LIST)
    if window.u8(pcir + layout.PCIR_REVISION) < 3 or not pointer:
        return (first,), 0
    listed = [first]
    at = pcir + pointer
    while device := window.u16(at):
        listed.append(device)
        at += 2
    return tuple(dict.fromkeys(listed)), at + 2
