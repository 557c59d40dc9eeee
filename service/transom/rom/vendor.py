"""Forms that hide the image: recognised by name, and refused with what to do. Reading on would give a wrong picture."""

from __future__ import annotations

from transom.rom import span

_TOOLS = "BIOSUtilities, by platomav, unpacks it"
_MARKS = (
    (0, b"PFS.HDR.", f"Dell PFS: the image is in pieces: {_TOOLS}; then give the result"),
    (0, b"@UAF", f"AMI UCP: the image is inside an update package: {_TOOLS}; then give the result"),
    (0, b"@HPU", f"AMI UCP (HP): the image is inside an update package: {_TOOLS}; then give the result"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive: unpack it first, then give the BIOS file"),
    (0, b"Rar!\x1a\x07", "RAR archive: unpack it first, then give the BIOS file"),
    (0, b"MSCF\0\0\0\0", "cabinet archive: unpack it first (cabextract), then give the .bin or .cap file"),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "Windows installer package: unpack it first (7z), then give the BIOS file",
    ),
    (0, b"\xfd7zXZ\0", "xz file: unpack it first, then give the BIOS file"),
    (0x8001, b"CD001", "ISO image: take the BIOS file out of it first"),
)
_PFAT = "AMI PFAT (BIOS Guard): the image is in signed pieces: " + _TOOLS + "; then give the result"
_PFAT_MARK, _PFAT_TEXT = b"_AMIPFAT", b"AMI_BIOS_GUARD_FLASH_CONFIGURATIONS"
_INSTALLERS = (
    (b"Inno Setup", "Inno Setup installer: unpack it first (innoextract), then give the BIOS file"),
    (b"PFS.HDR.", f"Dell update program: {_TOOLS}; then give the result"),
    (b"\xaa\xee\xaa\x76\x1b\xec\xbb\x20\xf1\xe6\x51", f"Dell update program: {_TOOLS}; then give the result"),
    (b"7z\xbc\xaf\x27\x1c", "self-extracting 7z program: unpack it first (7z), then give the BIOS file"),
    (b"_AMIPFAT", f"program around AMI PFAT (BIOS Guard): {_TOOLS}; then give the result"),
)


def hidden(part: span.Span) -> str:
    """Name of the form and what to do, or nothing when the bytes are in none of them."""
    for at, mark, text in _MARKS:
        if part.startswith(mark, at):
            return text
    at = part.find(_PFAT_MARK)
    # the mark's neighbour tells a package from a flash driver that only knows the word
    if at >= 8 and part.startswith(_PFAT_TEXT, at + len(_PFAT_MARK) + 1):
        return _PFAT
    return ""


def installer(part: span.Span) -> str:
    """What kind of Windows program this is, and what to do."""
    for mark, text in _INSTALLERS:
        if part.find(mark) >= 0:
            return text
    return "Windows program: not an EFI driver and no image in plain sight: unpack it first, then give the BIOS file"
