"""The compressions found in firmware, each with the size it may grow to: bytes in, bytes out, never more than the budget."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable

from transom import errors
from transom.rom import budget as budgets
from transom.rom import span, tiano

_STEP = 1 << 20
_LZMA_HEADER = 13  # properties, dictionary size (u32), original size (u64)
_UNKNOWN_SIZE = (1 << 64) - 1
_CHUNK = 0x10000  # most that an uncompressed LZMA2 chunk holds

Buffer = bytes | bytearray


def lzma_alone(part: span.Span, budget: budgets.Budget) -> Buffer:
    """LZMA with its 13-byte header. EDK2 announces the size and sets no end mark, other tools do it the other way round."""
    properties = part.u8(0)
    if properties >= 9 * 5 * 5:
        raise errors.RomError("LZMA properties are out of range", offset=part.start)
    announced = part.uint(5, 8)
    size = budget.room() if announced == _UNKNOWN_SIZE else budget.expand(announced, part.start)
    chain = {
        "id": lzma.FILTER_LZMA1,
        "lc": properties % 9,
        "lp": properties // 9 % 5,
        "pb": properties // 45,
        # a dictionary larger than the output is never used, and a header may ask for 4 GiB
        "dict_size": max(4096, min(part.u32(1), size)),
    }
    try:
        unpack = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[chain])
        if announced == _UNKNOWN_SIZE:
            return _until_end(unpack, part, budget)
        return _pump(unpack.decompress, part.cut(_LZMA_HEADER), size, part.start)
    except lzma.LZMAError as cause:
        raise errors.RomError(f"LZMA data is corrupt ({cause})", offset=part.start) from cause


def lzma_or_intel(part: span.Span, budget: budgets.Budget) -> Buffer:
    """LZMA, or Intel's variant of it, which has the header of a section in front: 3 bytes of size, 1 of type."""
    headed = len(part) > 4 and part.uint(0, 3) == len(part)
    first, second = (part.sub(4), part) if headed else (part, part.sub(min(4, len(part))))
    try:
        return lzma_alone(first, budget)
    except budgets.LimitError:
        raise
    except errors.RomError as wrong:
        try:
            return lzma_alone(second, budget)
        except errors.RomError:
            raise wrong from None


def lzma_f86(part: span.Span, budget: budgets.Budget) -> Buffer:
    """LZMA, then the x86 filter. liblzma runs the filter only in a chain, and its LZMA1 does not flush the filter without
    an end mark; so the plain bytes go through it framed as uncompressed LZMA2."""
    plain = lzma_alone(part, budget)
    chain = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 4096}]
    filtered = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=chain)
    out = bytearray()
    for at in range(0, len(plain), _CHUNK):
        chunk = plain[at : at + _CHUNK]
        # control 1 resets the dictionary, 2 does not
        out += filtered.decompress(bytes([2 if at else 1]) + (len(chunk) - 1).to_bytes(2, "big") + chunk)
    return out + filtered.decompress(b"\0")


def brotli(part: span.Span, budget: budgets.Budget) -> Buffer:
    """Brotli behind EDK2's header: original size and scratch size, 8 bytes each."""
    import brotli as library  # type: ignore[import-untyped]

    size = budget.expand(part.uint(0, 8), part.start)
    unpack = library.Decompressor()
    out, data = bytearray(), part.cut(16)
    try:
        while len(out) < size and not unpack.is_finished():
            step = unpack.process(data, output_buffer_limit=min(_STEP, size - len(out)))
            if not step and not data:
                break
            out += step
            data = b""
    except library.error as cause:
        raise errors.RomError("Brotli data is corrupt", offset=part.start) from cause
    return _whole(out, size, part.start)


def zstd(part: span.Span, budget: budgets.Budget) -> Buffer:
    """A zstd frame; its size need not be announced."""
    import zstandard as library

    room = budget.room()
    # the window is what a frame may make us hold: no real section needs more than one section's limit
    unpack = library.ZstdDecompressor(max_window_size=budgets.MIB * 16).stream_reader(part.view())
    try:
        return _grow(unpack.read, room, budget, part.start)
    except library.ZstdError as cause:
        raise errors.RomError(f"zstd data is corrupt ({cause})", offset=part.start) from cause


def gzip(part: span.Span, budget: budgets.Budget) -> Buffer:
    """One gzip or zlib stream; its size is not announced."""
    unpack = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
    pending: bytes = part.cut()

    def read(most: int) -> bytes:
        nonlocal pending
        step = unpack.decompress(pending, most)
        pending = unpack.unconsumed_tail
        return step

    try:
        out = _grow(read, budget.room(), budget, part.start)
    except zlib.error as cause:
        raise errors.RomError(f"gzip data is corrupt ({cause})", offset=part.start) from cause
    if not unpack.eof:
        raise errors.RomError("gzip data is cut off", offset=part.start)
    return out


def efi_or_tiano(part: span.Span, budget: budgets.Budget, rate: Callable[[Buffer], int]) -> Buffer:
    """EFI 1.1 and Tiano share one header: the variant whose output rates higher is taken, and 0 is not taken at all."""
    stream = part.cut()
    _, size = tiano.sizes(stream)
    budget.expand(size, part.start)
    best: tuple[int, Buffer] = (0, b"")
    failure: errors.RomError | None = None
    for wide in (False, True):
        try:
            data = tiano.decompress(stream, limit=size, wide=wide)
        except errors.RomError as cause:
            failure = cause
            continue
        best = max(best, (rate(data), data), key=lambda rated: rated[0])
    if not best[0]:
        text = span.reason(failure) if failure else "neither EFI 1.1 nor Tiano decompression gives what is expected"
        raise errors.RomError(text, offset=part.start) from failure
    return best[1]


def _until_end(unpack: lzma.LZMADecompressor, part: span.Span, budget: budgets.Budget) -> bytearray:
    pending = part.cut(_LZMA_HEADER)

    def read(most: int) -> bytes:
        nonlocal pending
        if unpack.eof:
            return b""
        step = unpack.decompress(pending, max_length=most)
        pending = b""
        return step

    out = _grow(read, budget.room(), budget, part.start)
    if not unpack.eof:
        raise errors.RomError(f"compressed data is cut off: no end mark after {len(out)} bytes", offset=part.start)
    return out


def _pump(decompress: Callable[..., bytes], data: bytes, size: int, offset: int) -> bytearray:
    out = bytearray()
    while len(out) < size:
        try:
            step = decompress(data, max_length=min(_STEP, size - len(out)))
        except EOFError:  # an end mark before the announced size
            break
        if not step:
            break
        out += step
        data = b""
    return _whole(out, size, offset)


def _whole(out: bytearray, size: int, offset: int) -> bytearray:
    if len(out) != size:
        raise errors.RomError(f"compressed data is cut off: {len(out)} of {size} bytes came out", offset=offset)
    return out


def _grow(read: Callable[[int], bytes], room: int, budget: budgets.Budget, offset: int) -> bytearray:
    out = bytearray()
    while step := read(min(_STEP, room + 1 - len(out))):
        out += step
        if len(out) > room:
            raise budgets.LimitError(f"a part expands to more than {room} bytes", offset=offset)
    budget.expand(len(out), offset)
    return out
