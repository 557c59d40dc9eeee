"""Verifies an option ROM: everything a firmware relies on when it walks, checks and starts the images."""

from __future__ import annotations

import dataclasses
import hashlib

from transom import errors
from transom.rom import fit, gop, layout, pe, rominfo, span, tiano, tree
from transom.rom import reader as readers
from transom.rom import roles as role


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong, and where in the ROM, in bytes from its start."""

    offset: int
    text: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """One image with what was found in it; ``driver`` is None for legacy images and bodies that cannot be read."""

    image: rominfo.Image
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    driver: tree.Driver | None = None
    roles: frozenset[role.Role] = frozenset()


@dataclasses.dataclass(frozen=True)
class Report:
    """The ROM is good when nothing is a problem; ``fits`` says what each guest firmware can do with it."""

    size: int
    sha256: str
    images: tuple[Checked, ...]
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    fits: tuple[fit.Fit, ...]

    @property
    def good(self) -> bool:
        return not self.problems

    def fit_for(self, firmware: str) -> fit.Fit:
        return next(one for one in self.fits if one.firmware == firmware)


def verify(data: bytes, wanted: tuple[tuple[int, int], ...] = ()) -> Report:
    """Verify a ROM; ``wanted`` are pairs of vendor and device id that every image must name."""
    rom = span.Span.of(data)
    checked, problems = _walk(rom, wanted)
    warnings = _tail(rom, checked) + _ids_differ(checked) + _pcir_lengths(checked)
    if checked and not problems and not checked[-1].image.last:
        problems.append(Finding(checked[-1].image.offset, "the last image is not flagged last"))
    good = tuple(fit.Loaded(one.image, one.roles) for one in checked if not one.problems)
    return Report(
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        images=tuple(checked),
        problems=(*(found for one in checked for found in one.problems), *problems),
        warnings=(*(found for one in checked for found in one.warnings), *warnings),
        fits=tuple(judge(good) for judge in fit.FIRMWARES.values()),
    )


def _walk(rom: span.Span, wanted: tuple[tuple[int, int], ...]) -> tuple[list[Checked], list[Finding]]:
    checked: list[Checked] = []
    if not len(rom):
        return checked, [Finding(0, "the file is empty")]
    try:
        for image in rominfo.walk(rom):
            checked.append(_check(rom, image, wanted))
    except errors.RomError as wrong:
        return checked, [Finding(wrong.offset or 0, span.reason(wrong))]
    return checked, []


def _check(rom: span.Span, image: rominfo.Image, wanted: tuple[tuple[int, int], ...]) -> Checked:
    problems = [
        Finding(image.offset + image.pcir_offset, f"{vendor:04x}:{device:04x} is not named, {_named(image)} is")
        for vendor, device in wanted
        if image.vendor != vendor or device not in image.devices
    ]
    if image.is_efi:
        return _check_efi(rom, image, problems)
    if image.code_type != layout.TYPE_LEGACY:
        name = layout.CODE_TYPES.get(image.code_type, "unknown")
        problems.append(
            Finding(image.offset + image.pcir_offset, f"code type {image.code_type} ({name}) is not for a PC")
        )
    elif not 0 < image.initialization_size <= image.size:
        problems.append(Finding(image.offset + 2, f"the initialization size is {image.initialization_size} bytes"))
    elif not image.checksum_ok:
        problems.append(Finding(image.offset, "the legacy image's bytes do not sum to 0"))
    return Checked(image, tuple(problems), ())


def _check_efi(rom: span.Span, image: rominfo.Image, problems: list[Finding]) -> Checked:
    if not image.efi_signature_ok:
        problems.append(Finding(image.offset + layout.EFI_SIGNATURE_AT, "the EFI signature is not 0x0EF1"))
    if image.ids_end > image.body_offset >= layout.HEADER_SIZE:
        text = "the list of device ids runs into the driver: its offset is wrong, or no 0000 closes it"
        problems.append(Finding(image.offset + image.pcir_offset + layout.DEVICE_LIST, text))
    if image.initialization_size != image.size:
        text = f"the initialization size is {image.initialization_size} bytes, the image has {image.size}"
        problems.append(Finding(image.offset + layout.INITIALIZATION_SIZE, text))
    try:
        body = _body(rom, image)
        header = pe.parse(body)
    except errors.RomError as wrong:
        where = image.offset + (layout.BODY_OFFSET if image.body_offset < 0 else image.body_offset)
        return Checked(image, (*problems, Finding(where, span.reason(wrong))), ())
    problems += _disagreements(image, header)
    facts = tree.Driver("", "", "ROM image", "", "", len(body), "", f"image at 0x{image.offset:X}")
    driver = readers.pe_driver(body, facts)
    if driver.unloadable:
        problems.append(Finding(image.offset + image.body_offset, f"firmware does not start it: {driver.unloadable}"))
    return Checked(image, tuple(problems), tuple(_doubts(image, header, driver)), driver, role.of(body))


def _body(rom: span.Span, image: rominfo.Image) -> span.Span:
    """The PE image: as it stands, or decompressed. Firmware knows EFI 1.1 compression only here, not Tiano."""
    body = rominfo.body(rom, image)
    if image.compression == 0:
        return body
    if image.compression != 1:
        raise errors.RomError(f"compression type {image.compression} is unknown")
    return span.Span.of(tiano.decompress(body.cut(), limit=layout.LIMIT))


def _disagreements(image: rominfo.Image, header: pe.Pe) -> list[Finding]:
    found = []
    if image.machine != header.machine:
        text = f"the header says {pe.machine_name(image.machine)}, the driver is for {header.machine_name}"
        found.append(Finding(image.offset + layout.MACHINE, text))
    if image.subsystem != header.subsystem:
        text = f"the header says {pe.subsystem_name(image.subsystem)}, the driver is a {header.subsystem_name}"
        found.append(Finding(image.offset + layout.SUBSYSTEM, text))
    if header.subsystem not in pe.DRIVERS:
        text = f"firmware starts drivers only from a ROM, this is: {header.subsystem_name}"
        found.append(Finding(image.offset + layout.SUBSYSTEM, text))
    return found


def _doubts(image: rominfo.Image, header: pe.Pe, driver: tree.Driver) -> list[Finding]:
    found = []
    if image.machine != pe.X64:
        text = f"the driver is for {pe.machine_name(image.machine)}: an X64 guest firmware does not run it"
        found.append(Finding(image.offset + layout.MACHINE, text))
    if header.hollow:
        text = "no section of the PE holds anything: there is nothing to start"
        found.append(Finding(image.offset + image.body_offset, text))
    if image.pcir_revision not in (0, 3):
        found.append(Finding(image.offset + image.pcir_offset, f"PCIR revision {image.pcir_revision} is unknown"))
    if driver.gop and driver.gop.devices and not set(image.devices) & set(driver.gop.devices):
        version = "" if driver.gop.version == gop.UNKNOWN else f" {driver.gop.version}"
        text = f"the GOP driver{version} does not list {_named(image)} in its table: it may not start there"
        found.append(Finding(image.offset + image.body_offset, text))
    return found


def _tail(rom: span.Span, checked: list[Checked]) -> list[Finding]:
    end = checked[-1].image.offset + checked[-1].image.size if checked else len(rom)
    if checked and checked[-1].image.last and not rom.sub(end).blank():
        return [Finding(end, f"{len(rom) - end} bytes stand behind the last image: nothing reads them")]
    return []


def _ids_differ(checked: list[Checked]) -> list[Finding]:
    efi = [one.image for one in checked if one.image.is_efi]
    different = [image for image in efi[1:] if (image.vendor, image.devices) != (efi[0].vendor, efi[0].devices)]
    return [Finding(image.offset, f"names {_named(image)}, the first image {_named(efi[0])}") for image in different]


def _pcir_lengths(checked: list[Checked]) -> list[Finding]:
    right = {0: layout.PCIR_SIZE_23, 3: layout.PCIR_SIZE_3}
    return [
        Finding(
            one.image.offset + one.image.pcir_offset + layout.PCIR_LENGTH,
            f"the PCIR says that it has {one.image.pcir_length} bytes, revision {one.image.pcir_revision} has {size}",
        )
        for one in checked
        if (size := right.get(one.image.pcir_revision)) and one.image.pcir_length != size
    ]


def _named(image: rominfo.Image) -> str:
    return ", ".join(f"{image.vendor:04x}:{device:04x}" for device in image.devices)
