"""Chooses the driver to wrap: the GOP that serves the wanted device, by its own table of ids, never just the first."""

from __future__ import annotations

import dataclasses

from transom import errors
from transom.rom import contents, gop, graphics, pe, tree
from transom.rom import reader as readers

_DRIVER_SUBSYSTEMS = {pe.SUBSYSTEMS[number] for number in pe.DRIVERS}

_LOOSE = {
    readers.STRAY: "it lies outside any file of the firmware",
    readers.STRAY_ROM: "it lies in an option ROM in raw data",
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """A driver, with what its user should know about it."""

    driver: tree.Driver
    warnings: tuple[str, ...] = ()


def from_file(found: contents.Contents, devices: tuple[int, ...]) -> Choice:
    """The driver of a bare .efi file, whatever its machine: its user chose it."""
    driver = found.drivers[0]
    if driver.damaged:
        raise errors.RomError(f"the driver is damaged: {driver.damaged}")
    if driver.unloadable:
        raise errors.RomError(f"firmware does not start this driver: {driver.unloadable}")
    warnings = list(driver.warnings)
    if driver.machine != pe.MACHINES[pe.X64]:
        warnings.append(f"the driver is for {driver.machine}: an X64 guest firmware does not run it")
    if driver.subsystem not in _DRIVER_SUBSYSTEMS:
        warnings.append(f"an option ROM's image must be a driver, this is: {driver.subsystem}")
    if driver.gop:
        warnings += [_unserved(driver, device) for device in devices if _serves(driver.gop, device) is False]
    return Choice(driver, tuple(warnings))


def named(found: contents.Contents, name: str) -> Choice:
    """The driver of that name, file GUID or beginning of its SHA-256; only the input read with ``wanted=name`` holds its bytes."""
    same = [driver for driver in found.drivers if readers.bears(driver, name.lower())]
    if not same:
        raise errors.RomError(f"no driver {name} here", hint=_absence(found))
    fit = _usable(same)
    if not fit:
        raise errors.RomError(f"driver {name} cannot be wrapped: {_listed(same)}")
    different = {driver.sha256 for driver in fit}
    if len(different) > 1:
        raise errors.RomError(
            f"{len(different)} different drivers bear the name {name}: {_listed(fit)}", hint=_telling(fit)
        )
    return Choice(fit[0], fit[0].warnings)


def _telling(drivers: list[tree.Driver]) -> str:
    """How to name one of drivers that share a name, and perhaps a GUID."""
    said = {driver.sha256: f"{driver.sha256[:12]} ({driver.guid})" for driver in drivers}
    return f"give the beginning of its SHA-256: {', '.join(said.values())}"


def gop_for(found: contents.Contents, devices: tuple[int, ...]) -> Choice:
    """The GOP driver that serves all ``devices``; ``errors.RomError`` names what was found when none does."""
    if not found.gops:
        raise errors.RomError("no Intel GOP driver here", hint=_absence(found))
    usable = _usable(found.gops)
    if not usable:
        raise errors.RomError(f"no Intel GOP driver here that can be wrapped: {_listed(found.gops)}")
    verdicts = {driver: [_serves(driver.gop, device) for device in devices] for driver in usable if driver.gop}
    sure = [driver for driver, answers in verdicts.items() if all(answers)]
    if sure:
        return _newest(sure, ())
    maybe = [driver for driver, answers in verdicts.items() if False not in answers]
    if len(maybe) == 1:
        return _newest(maybe, ("its table of device ids cannot be read: whether it serves the device is not known",))
    related = [driver for driver in usable if driver.gop and all(_same_generation(driver.gop, d) for d in devices)]
    if related and not maybe:
        return _newest(related, tuple(_unserved(related[0], device) for device in devices))
    wanted = ", ".join(f"8086:{device:04x}" for device in devices)
    raise errors.RomError(f"no GOP driver here serves {wanted}: {_listed(found.gops)}", hint=_of_generation(devices))


def _usable(drivers: list[tree.Driver] | tuple[tree.Driver, ...]) -> list[tree.Driver]:
    """Undamaged X64 PE drivers that firmware loads: IA32 and TE never run in an X64 guest firmware's option ROM."""
    x64 = pe.MACHINES[pe.X64]
    return [
        driver
        for driver in drivers
        if driver.machine == x64
        and driver.form != "TE"
        and not driver.damaged
        and not driver.unloadable
        and driver.subsystem in _DRIVER_SUBSYSTEMS
    ]


def _serves(facts: gop.Gop, device: int) -> bool | None:
    """Whether the driver's table holds the device; None when neither table nor version can tell."""
    if facts.devices:
        return device in facts.devices
    generation = graphics.generation_of(device)
    if facts.major is None or generation is None or not generation.majors:
        return None
    return None if facts.major in generation.majors else False


def _same_generation(facts: gop.Gop, device: int) -> bool:
    generation = graphics.generation_of(device)
    return generation is not None and facts.major in generation.majors


def _newest(drivers: list[tree.Driver], warnings: tuple[str, ...]) -> Choice:
    best = max(drivers, key=lambda driver: (driver.form not in readers.LOOSE, _version(driver.gop)))
    others = [f"another driver serves it too: {_one(driver)}" for driver in drivers if driver is not best]
    stray = [f"{_LOOSE[best.form]}: no checksum covers it"] if best.form in readers.LOOSE else []
    return Choice(best, (*best.warnings, *warnings, *stray, *others))


def _version(facts: gop.Gop | None) -> tuple[int, ...]:
    if facts is None or facts.version == gop.UNKNOWN:
        return ()
    return tuple(int(number) for number in facts.version.split("."))


def _unserved(driver: tree.Driver, device: int) -> str:
    version = driver.gop.version if driver.gop else gop.UNKNOWN
    return (
        f"8086:{device:04x} is not in the table of the GOP driver (version {version}): it may not start on this device"
    )


def _of_generation(devices: tuple[int, ...]) -> str:
    names = {generation.name for device in devices if (generation := graphics.generation_of(device))}
    return f"wanted: a BIOS file of a board for {', '.join(sorted(names))}" if names else ""


def _listed(drivers: list[tree.Driver] | tuple[tree.Driver, ...]) -> str:
    return "; ".join(_one(driver) for driver in drivers)


def _one(driver: tree.Driver) -> str:
    version = f" {driver.gop.version}" if driver.gop else ""
    ids = driver.gop.devices if driver.gop else ()
    serves = f", serves {len(ids)} ids from 8086:{ids[0]:04x}" if ids else ""
    damage = f", damaged: {driver.damaged}" if driver.damaged else ""
    damage += f", not loadable: {driver.unloadable}" if driver.unloadable else ""
    name = gop.NAME if driver.gop else driver.name or driver.guid
    return f"{name}{version} ({driver.machine} {driver.form}, {driver.size} bytes{serves}{damage})"


def _absence(found: contents.Contents) -> str:
    """How sure it is that nothing is there."""
    hidden = [problem.text for problem in found.problems if problem.level is not tree.Level.NOTE]
    if hidden:
        return f"but not all could be read: {hidden[0]}"
    if found.fsp:
        return "an Intel FSP holds no DXE GOP: take the board's whole BIOS file"
    if found.kind == "unknown":
        return "this is no firmware, driver or ROM"
    return f"{len(found.drivers)} programs were looked at"
