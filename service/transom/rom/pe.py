"""PE32 and PE32+ headers, as far as firmware needs them (Microsoft PE/COFF; UEFI 2.10, 2.1.1)."""

from __future__ import annotations

import dataclasses
import struct

from transom import errors
from transom.rom import span

MACHINES = {
    0x014C: "IA32",
    0x0200: "IA64",
    0x0EBC: "EBC",
    0x01C2: "ARM",
    0x8664: "X64",
    0xAA64: "AArch64",
    0x5032: "RISCV32",
    0x5064: "RISCV64",
    0x6264: "LoongArch64",
}
SUBSYSTEMS = {10: "application", 11: "boot service driver", 12: "runtime driver", 13: "SAL runtime driver"}
X64 = 0x8664
DRIVERS = (11, 12)

_PE32, _PE32_PLUS = 0x10B, 0x20B
_CERTIFICATES = 4  # index of the security directory; the only one that holds a file offset
_RELOCATIONS = 5
_MOST_DIRECTORIES = 16
_SECTION_HEADER = 40


@dataclasses.dataclass(frozen=True)
class Section:
    """One section: where it is in the file, where in memory; ``virtual`` is its size there."""

    name: str
    address: int
    offset: int
    size: int
    virtual: int

    @property
    def loaded(self) -> int:
        """Bytes that a loader writes: a virtual size of 0 stands for the size in the file."""
        return self.virtual or self.size


@dataclasses.dataclass(frozen=True)
class Layout:
    """The optional header's numbers that a loader goes by, in bytes and addresses from the image's start; ``table`` is where
    the section headers stand, ``room`` how many directories the header has place for, ``relocations`` address and size."""

    entry: int
    alignment: int
    image: int
    headers: int
    table: int
    directories: int
    room: int
    relocations: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Pe:
    """What the headers say; ``size`` is where the last thing they name ends, in bytes of the file."""

    machine: int
    subsystem: int
    size: int
    sections: tuple[Section, ...]
    layout: Layout

    @property
    def hollow(self) -> bool:
        """Whether no section holds anything: a stub, as toolchains are tried with."""
        return bool(self.sections) and not any(part.loaded for part in self.sections)

    @property
    def machine_name(self) -> str:
        return machine_name(self.machine)

    @property
    def subsystem_name(self) -> str:
        return subsystem_name(self.subsystem)

    def offset_of(self, address: int) -> int | None:
        """File offset of a memory address, or None when no section holds it."""
        for part in self.sections:
            if part.address <= address < part.address + part.size:
                return address - part.address + part.offset
        return None


def machine_name(machine: int) -> str:
    return MACHINES.get(machine, f"machine 0x{machine:04X}")


def subsystem_name(subsystem: int) -> str:
    return SUBSYSTEMS.get(subsystem, f"subsystem {subsystem}")


def parse(image: span.Span) -> Pe:
    """Headers of the PE image that starts the span; ``errors.RomError`` where they are wrong or cut off."""
    if not image.startswith(b"MZ"):
        kind = (
            "a TE image (stripped, for PEI): it cannot be loaded from an option ROM" if is_te(image) else "no PE image"
        )
        raise errors.RomError(kind, offset=image.start)
    header = image.u32(0x3C)
    if not image.startswith(b"PE\0\0", header):
        raise errors.RomError("the MZ header does not lead to a PE signature", offset=image.start + header)
    optional = header + 24
    magic = image.u16(optional)
    if magic not in (_PE32, _PE32_PLUS):
        raise errors.RomError(f"PE optional header 0x{magic:X} is unknown", offset=image.start + optional)
    sections = _sections(image, header)
    return Pe(
        machine=image.u16(header + 4),
        subsystem=image.u16(optional + 68),
        size=_size(image, optional, magic, sections),
        sections=sections,
        layout=_layout(image, header, magic),
    )


def loadable(header: Pe) -> str:
    """Why firmware does not load the image or cannot start it, or nothing: the checks of EDK2's PeCoffLoaderGetPeHeader,
    LoadImage and RelocateImage, and the entry point, which EDK2 jumps to unchecked."""
    said = header.layout
    if not header.sections:
        return "the PE has no sections"
    if not said.alignment:
        return "the PE's SectionAlignment is 0"
    if not said.table + _SECTION_HEADER * len(header.sections) <= said.headers < said.image:
        return f"the PE's SizeOfHeaders is {said.headers} bytes, SizeOfImage {said.image}"
    for part in header.sections:
        if part.loaded and part.address + part.loaded > said.image:
            return f"PE section {part.name!r} ends at 0x{part.address + part.loaded:X}, the image at 0x{said.image:X}"
    address, size = said.relocations
    if size and address + size > said.image:
        return f"the PE's relocations end at 0x{address + size:X}, the image at 0x{said.image:X}"
    return _unstartable(header)


def _unstartable(header: Pe) -> str:
    said = header.layout
    if not said.headers <= said.entry < said.image:
        return f"the PE's entry point 0x{said.entry:X} is not in its code"
    if header.hollow:
        return ""  # EfiRom is tried with such stubs; ``hollow`` tells
    if said.directories != said.room:
        return f"the PE names {said.directories} directories, its header has room for {said.room}"
    if not any(part.address <= said.entry < part.address + max(part.loaded, part.size) for part in header.sections):
        return f"the PE's entry point 0x{said.entry:X} is in no section"
    return ""


def is_te(image: span.Span) -> bool:
    """Terse executable: VZ, then a machine that exists (PI 1.8, vol. 1, 15)."""
    return image.startswith(b"VZ") and len(image) >= 40 and image.u16(2) in MACHINES


def _sections(image: span.Span, header: int) -> tuple[Section, ...]:
    count, first = image.u16(header + 6), header + 24 + image.u16(header + 20)
    if count > 96:
        raise errors.RomError(f"{count} PE sections", offset=image.start + header + 6)
    rows = []
    for at in range(first, first + _SECTION_HEADER * count, _SECTION_HEADER):
        name, virtual, address, size, offset = struct.unpack("<8s4I", image.cut(at, 24))
        rows.append(Section(name.rstrip(b"\0").decode("latin-1"), address, offset, size, virtual))
    return tuple(rows)


def _layout(image: span.Span, header: int, magic: int) -> Layout:
    optional, length = header + 24, image.u16(header + 20)
    directories = 112 if magic == _PE32_PLUS else 96
    count, at = image.u32(optional + directories - 4), optional + directories + 8 * _RELOCATIONS
    return Layout(
        entry=image.u32(optional + 16),
        alignment=image.u32(optional + 32),
        image=image.u32(optional + 56),
        headers=image.u32(optional + 60),
        table=optional + length,
        directories=count,
        room=(length - directories) // 8,
        relocations=(image.u32(at), image.u32(at + 4)) if _RELOCATIONS < count <= _MOST_DIRECTORIES else (0, 0),
    )


def _size(image: span.Span, optional: int, magic: int, sections: tuple[Section, ...]) -> int:
    ends = [image.u32(optional + 60)] + [part.offset + part.size for part in sections if part.size]
    directories = optional + (112 if magic == _PE32_PLUS else 96)
    if image.u32(directories - 4) > _CERTIFICATES:
        at = directories + 8 * _CERTIFICATES
        if image.u32(at) and image.u32(at + 4):
            ends.append(image.u32(at) + image.u32(at + 4))
    if max(ends) > len(image):
        raise errors.RomError(
            f"the PE headers name {max(ends)} bytes, only {len(image)} are there", offset=image.start + len(image)
        )
    return max(ends)
