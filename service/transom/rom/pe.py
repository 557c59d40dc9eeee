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


@dataclasses.dataclass(frozen=True)
class Section:
    """One section: where it is in the file, where in memory."""

    name: str
    address: int
    offset: int
    size: int


@dataclasses.dataclass(frozen=True)
class Pe:
    """What the headers say; ``size`` is where the last thing they name ends, in bytes of the file."""

    machine: int
    subsystem: int
    size: int
    sections: tuple[Section, ...]

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
    )


def is_te(image: span.Span) -> bool:
    """Terse executable: VZ, then a machine that exists (PI 1.8, vol. 1, 15)."""
    return image.startswith(b"VZ") and len(image) >= 40 and image.u16(2) in MACHINES


def _sections(image: span.Span, header: int) -> tuple[Section, ...]:
    count, first = image.u16(header + 6), header + 24 + image.u16(header + 20)
    if count > 96:
        raise errors.RomError(f"{count} PE sections", offset=image.start + header + 6)
    rows = []
    for at in range(first, first + 40 * count, 40):
        name, _, address, size, offset = struct.unpack("<8s4I", image.cut(at, 24))
        rows.append(Section(name.rstrip(b"\0").decode("latin-1"), address, offset, size))
    return tuple(rows)


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
