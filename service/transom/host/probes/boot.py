"""How this boot came about: boot id, kernel, command line, time, firmware, and the signs of its boot loader."""

from __future__ import annotations

from transom import model
from transom.host import kernel_args, loader, probe

COMMAND = """
show() { IFS= read -r value <"$2" && printf '%s=%s\\n' "$1" "$value"; }
show boot_id /proc/sys/kernel/random/boot_id
show kernel /proc/sys/kernel/osrelease
show cmdline /proc/cmdline
printf 'time='; grep '^btime ' /proc/stat
[ -d /sys/firmware ] && printf 'firmware=1\\n'
[ -d /sys/firmware/efi ] && printf 'efi=1\\n'
[ -f /boot/grub/grub.cfg ] && printf 'grub=1\\n'
[ -d /sys/firmware/efi ] || exit 0
info=/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
[ -r "$info" ] && { printf 'info='; tail -c +5 "$info" | tr -d '\\000'; echo; }
efibootmgr -v | awk '$1 == "BootCurrent:" { now = $2 } now != "" && index($0, "Boot" now) == 1 { print "started=" $0; exit }'
exit 0
"""


def parse(body: bytes) -> model.Boot:
    """Each line ``name=value``; what is missing is Unknown by itself."""
    given: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        name, mark, value = line.partition("=")
        if not mark:
            raise ValueError(f"{line[:80]!r} is no line of it")
        given[name] = value
    cmdline = given.get("cmdline")
    tokens = model.Unknown("cannot read /proc/cmdline") if cmdline is None else kernel_args.split(cmdline)
    bios = "firmware" in given and "efi" not in given and "grub" in given
    signs = loader.signs(tokens, info=given.get("info", ""), started=given.get("started", ""), bios=bios)
    return model.Boot(
        boot_id=_or_unknown(given, "boot_id", "/proc/sys/kernel/random/boot_id"),
        kernel=_or_unknown(given, "kernel", "/proc/sys/kernel/osrelease"),
        cmdline=tokens,
        loader=loader.booted(signs),
        efi="efi" in given if "firmware" in given else model.Unknown("no /sys/firmware"),
        time_ns=_time(given),
        manager=model.Unknown("not judged yet"),
        signs=signs,
    )


def unknown(reason: str) -> model.Boot:
    """A boot of which nothing is known."""
    why = model.Unknown(reason)
    return model.Boot(why, why, why, why, why, why, why)


def _or_unknown(given: dict[str, str], name: str, path: str) -> str | model.Unknown:
    return given.get(name) or model.Unknown(f"cannot read {path}")


def _time(given: dict[str, str]) -> int | model.Unknown:
    seconds = given.get("time", "").removeprefix("btime ")
    return int(seconds) * 1_000_000_000 if seconds.isdigit() else model.Unknown("no btime in /proc/stat")


PROBE = probe.Probe("boot", COMMAND, parse)
