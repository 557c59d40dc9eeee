"""EFI 1.1 and Tiano compression: LZ77 with Huffman codes, behind an 8-byte {compressed, original} size header.

The work is done by the C code of EDK2, as the extension of the package ``uefi-firmware`` wraps it: its compressor gives EfiRom's
bytes, and its decompressor has the fixes for CVE-2017-5731 to 5735. Only the extension is loaded, never that package's parsers.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import types

from transom import errors

HEADER = 8


def sizes(stream: bytes) -> tuple[int, int]:
    """Compressed size (without header) and original size, as the header tells."""
    if len(stream) < HEADER:
        raise errors.RomError("a compressed stream of less than 8 bytes")
    return int.from_bytes(stream[:4], "little"), int.from_bytes(stream[4:8], "little")


def compress(data: bytes) -> bytes:
    """EFI 1.1 compression with its header, the same bytes that EfiRom writes."""
    packed: bytes = _extension().EfiCompress(data, len(data))
    return packed


def decompress(stream: bytes, *, limit: int, wide: bool = False) -> bytes:
    """The original bytes; ``wide`` is Tiano's variant (5-bit position codes) in place of EFI 1.1's.

    ``limit`` is the most that the header may announce, in bytes. Both variants share one header: a stream of the other kind
    is an error or gives other bytes, so the caller judges what comes out.
    """
    packed, original = sizes(stream)
    if packed > len(stream) - HEADER:
        raise errors.RomError(f"compressed data cut off: {packed} bytes announced, {len(stream) - HEADER} there")
    if original > limit:
        raise errors.RomError(f"compressed data announces {original} bytes, more than the limit of {limit}")
    if not original:
        return b""
    unpack = _extension().TianoDecompress if wide else _extension().EfiDecompress
    try:
        data: bytes = unpack(stream, len(stream))
    except Exception as cause:  # the extension raises the bare class
        raise errors.RomError("compressed data is corrupt") from cause
    return data


@functools.cache
def _extension() -> types.ModuleType:
    package = importlib.util.find_spec("uefi_firmware")  # finds, does not run its __init__
    places = package.submodule_search_locations if package else None
    spec = importlib.machinery.PathFinder.find_spec("uefi_firmware.efi_compressor", places) if places else None
    if spec is None or spec.loader is None:
        raise errors.RomError("EFI compression needs the package uefi-firmware", hint="pip install uefi-firmware")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
