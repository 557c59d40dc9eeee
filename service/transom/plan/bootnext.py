r"""Booting a trial by the firmware's own one-shot, BootNext: whether it can be, and the scripts of it. Pure.

The firmware deletes BootNext before it starts the entry that it names (UEFI 2.10, 3.1.2), and goes on to BootOrder when that one
cannot be loaded. The entry starts the kernel itself (its EFI stub) from a folder of ours on an ESP; the stub takes the command
line from the entry, as UCS-2 (``efibootmgr --unicode``), and reads ``initrd=\…`` from the partition that the kernel came from.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from transom import model
from transom.host import kernel_args, loader, versions

LABEL = "transom-trial"
"""Of the entry: by it alone ours is found again."""
_FOLDER = "EFI/transom-trial"
_LOADER, _INITRD = r"\EFI\transom-trial\vmlinuz", r"\EFI\transom-trial\initrd.img"
_SPARE = 16 << 20
"""Bytes that stay free on the ESP: a node's own tools write there, too."""
_STORE = 5120
"""Bytes that the kernel leaves free in the variable store (EFI_MIN_RESERVE): some firmwares do not start with a full one."""
_HEAD = 512
"""Bytes for what an entry has beside the command line: label, path of the disk and file, and the variable's own head."""
_LONGEST = 2047
"""Characters of a command line (COMMAND_LINE_SIZE); the stub cuts off the rest."""
_KERNEL = ">=5.10"
"""Before it the stub read its command line wrongly from firmwares that hand over the whole entry (some of Dell's)."""

_NUMBER = rf"efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)[* ] {LABEL}\([[:space:]].*\)\?$/\1/p'"
"""Prints the numbers of entries with our label; efibootmgr 18 prints the path behind it."""
_ORDER = "efibootmgr | sed -n '/^BootOrder:/p'"
_ON_ESP = 'on_esps \'[ "$(stat -f -c %T .)" = msdos ] || { echo "no ESP is mounted on $PWD" >&2; exit 1; }\''
"""Else the files would go to the root file system, where no firmware finds them."""


def possible(facts: model.Facts, kernel: str, line: Sequence[str]) -> tuple[model.EspRoom, tuple[str, ...]] | str:
    """The ESP for it and the command line, or why there is none."""
    firmware = facts.firmware
    if firmware is None:
        return "the node did not boot by UEFI"
    if isinstance(firmware, model.Unknown):
        return firmware.unknown
    if isinstance(facts.boot.loader, model.Unknown):
        return facts.boot.loader.unknown
    if any(kernel_args.key(token) == "initrd" for token in line):
        return "the kernel command line has an initrd= of its own"
    # A node that stays in the trial has no other sign of what it will boot by again.
    whole = (*line, f"{loader.STANDS_FOR}={facts.boot.loader}", f"initrd={_INITRD}")
    return _refused(firmware, kernel, " ".join(whole)) or _place(firmware, whole)


def _refused(firmware: model.Firmware, kernel: str, line: str) -> str:
    """What stands against it, or ``""``."""
    if isinstance(firmware.secure_boot, model.Unknown):
        return firmware.secure_boot.unknown
    if firmware.secure_boot:
        return "Secure Boot is enabled: the firmware itself knows no key of the kernel's (shim does)"
    if firmware.bits != 64:
        return f"the firmware has {firmware.bits} bits and starts no 64-bit kernel"
    if not firmware.manager:
        return "efibootmgr is not installed"
    if firmware.variables != "rw":
        return f"efivarfs is {'mounted read-only' if firmware.variables else 'not mounted'}"
    if isinstance(firmware.next, model.Unknown):
        return firmware.next.unknown
    if firmware.next:
        return f"BootNext is set already, to Boot{firmware.next}"
    need = _STORE + _HEAD + 2 * len(line)
    if not isinstance(firmware.room, model.Unknown) and firmware.room < need:
        return f"the firmware has {firmware.room} bytes free for variables, {need} are needed"
    if not firmware.stub or not firmware.image:
        return f"/boot has no kernel {kernel} with an EFI stub, or no initrd of it"
    if not versions.matches(kernel, _KERNEL):
        return f"kernel {kernel} does not take its command line from every firmware, as those from 5.10 on do"
    return f"its command line is longer than the {_LONGEST} characters that the kernel takes" * (len(line) > _LONGEST)


def _place(firmware: model.Firmware, line: tuple[str, ...]) -> tuple[model.EspRoom, tuple[str, ...]] | str:
    need = firmware.image + _SPARE
    fitting = next((esp for esp in firmware.esps if esp.free >= need), None)
    if fitting:
        return fitting, line
    full = [f"ESP {esp.name} has {esp.free >> 20} MiB free, {need >> 20} are needed" for esp in firmware.esps]
    return (
        "; ".join((*full, *firmware.unfit)) or "no ESP is mounted on /boot/efi or /efi, or listed by proxmox-boot-tool"
    )


def begin(keep: str, kernel: str, line: Sequence[str], disk: str, part: int) -> list[str]:
    """Commands, after those that define ``on_esps``. They fail when anything reads back otherwise. ``keep``: the trial's folder."""
    copy = (
        f"rm -rf {_FOLDER}\nmkdir -p {_FOLDER}\n"
        f"for pair in vmlinuz:vmlinuz-{kernel} initrd.img:initrd.img-{kernel}; do\n"
        f'  cp -L -- "/boot/${{pair#*:}}" "{_FOLDER}/${{pair%%:*}}"\n'
        f'  cmp -- "/boot/${{pair#*:}}" "{_FOLDER}/${{pair%%:*}}"\n'
        "done\nsync -f .\n"
    )
    entry = f"--disk {shlex.quote(disk)} --part {part} --label {LABEL} --loader '{_LOADER}'"
    return [
        _ON_ESP,
        f": >{keep}/on-esp",
        f"on_esps {shlex.quote(copy)}",
        f"order=$({_ORDER})",
        f"efibootmgr --quiet --create-only {entry} --unicode {shlex.quote(' '.join(line))}",
        f"number=$({_NUMBER})",
        f'[ "$({_ORDER})" = "$order" ] || {{ echo "the firmware has put the entry into its BootOrder" >&2; exit 1; }}',
        'efibootmgr --quiet --bootnext "$number"',
        'efibootmgr | grep -qx "BootNext: $number" || { echo "the firmware has not kept BootNext" >&2; exit 1; }',
    ]


def end(keep: str) -> str:
    """Takes entry, BootNext and files away again; after the commands that define ``on_esps``. May run again."""
    return (
        f"for number in $({_NUMBER}); do\n"
        '  ! efibootmgr | grep -qx "BootNext: $number" || efibootmgr --quiet --delete-bootnext\n'
        '  efibootmgr --quiet --bootnum "$number" --delete-bootnum\n'
        "done\n"
        f"if [ -e {keep}/on-esp ]; then\n{_ON_ESP}\non_esps 'rm -rf {_FOLDER}; sync -f .'\nfi\n"
    )
