"""QEMU's own view of a command line: which words it takes, and with what words it refuses the rest.

Enough of QEMU to end a start as the real one does: unknown options, `-set` without its device, unknown devices,
missing option ROMs, `-device help`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FLAGS: Final = frozenset((
    "S", "audio-help", "daemonize", "enable-kvm", "enable-sync-profile", "full-screen", "mem-prealloc", "no-acpi",
    "no-fd-bootchk", "no-hpet", "no-reboot", "no-shutdown", "no-user-config", "nodefaults", "nographic",
    "only-migratable", "portrait", "s", "singlestep", "snapshot", "usb", "win2k-hack", "xen-attach",
    "xen-domid-restrict",
))  # fmt: skip
OPTIONS: Final = frozenset((
    "D", "L", "accel", "acpitable", "action", "add-fd", "append", "async-teardown", "audio", "audiodev", "bios",
    "blockdev", "boot", "cdrom", "chardev", "chroot", "compat", "cpu", "d", "debugcon", "device", "dfilter",
    "display", "drive", "dtb", "dump-vmstate", "echr", "fda", "fdb", "fsdev", "fw_cfg", "gdb", "global", "hda",
    "hdb", "hdc", "hdd", "icount", "incoming", "initrd", "iscsi", "k", "kernel", "loadvm", "m", "machine",
    "mem-path", "mon", "monitor", "msg", "mtdblock", "name", "net", "netdev", "nic", "numa", "object", "option-rom",
    "overcommit", "parallel", "pflash", "pidfile", "plugin", "qmp", "qmp-pretty", "readconfig", "rotate", "rtc",
    "runas", "sandbox", "sd", "seed", "serial", "set", "smbios", "smp", "spice", "tpmdev", "trace", "usbdevice",
    "uuid", "vga", "virtfs", "vnc", "watchdog-action", "xen-domid",
))  # fmt: skip
ENDS_WELL: Final = frozenset(("h", "help", "version"))
OWN_DEVICES: Final = ("vfio-pci", "pvscsi", "virtio-scsi-single")


@dataclass(frozen=True)
class Option:
    """One option; `text` is how QEMU names it in its messages."""

    name: str
    value: str = ""

    @property
    def text(self) -> str:
        return f"-{self.name} {self.value}" if self.value else f"-{self.name}"


@dataclass(frozen=True)
class End:
    """How the program ended before any machine ran: exit code and output."""

    code: int
    lines: tuple[str, ...] = ()


def split(args: str) -> list[str]:
    """`args:` as words; an unbalanced quote silently drops all of them, as PVE does."""
    try:
        return shlex.split(args)
    except ValueError:
        return []


def device_list() -> list[str]:
    """What `-device help` prints (QEMU 7.2, Debian's build)."""
    return Path(__file__).with_name("qemu-devices.txt").read_text().splitlines()


def parse(words: Sequence[str]) -> list[Option] | End:
    """The options of a command line, or how QEMU ends at the first it cannot take."""
    found: list[Option] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = word.lstrip("-") if word.startswith("-") else ""
        if not name:
            return End(1, (f"{word}: Could not open '{word}': No such file or directory",))
        if name in ENDS_WELL:
            return End(0)
        if name in FLAGS:
            found.append(Option(name))
        elif name not in OPTIONS:
            return End(1, (f"{word}: invalid option",))
        elif not rest:
            return End(1, (f"{word}: requires an argument",))
        else:
            found.append(Option(name, rest.pop(0)))
            if found[-1].value == "help":  # of the others' lists nothing is known here
                return End(0, tuple(device_list()) if name == "device" else ())
    return found


def device_id(value: str) -> str:
    found = re.search(r"(?:^|,)id=([^,]+)", value)
    return found[1] if found else ""


def check(words: Sequence[str], realize: Callable[[str], str]) -> End | None:
    """None when QEMU would run. `realize(value)` says why a `-device` cannot be made, '' when it can."""
    options = parse(words)
    if isinstance(options, End):
        return options
    ids: set[str] = set()
    for option in options:
        if option.name in ("device", "drive", "netdev", "chardev"):
            ids.add(f"{option.name}.{device_id(option.value)}")
        if option.name == "set" and (complaint := set_complaint(option.value, ids)):
            return End(1, (f"{option.text}: {complaint}",))
    for option in options:
        if option.name == "device" and (complaint := unknown_device(option.value) or realize(option.value)):
            return End(1, tuple(f"{option.text}: {complaint}".split("\n")))
    return None


def set_complaint(value: str, ids: set[str]) -> str:
    found = re.fullmatch(r"([^.]+)\.([^.]+)\.([^=]+)=(.*)", value)
    if not found:
        return f'can\'t parse: "{value}"'
    return "" if f"{found[1]}.{found[2]}" in ids else f'there is no {found[1]} "{found[2]}" defined'


def unknown_device(value: str) -> str:
    model = value.split(",", 1)[0]
    known = model in OWN_DEVICES or any(line.startswith(f'name "{model}"') for line in device_list())
    return "" if known else f"'{model}' is not a valid device model name"
