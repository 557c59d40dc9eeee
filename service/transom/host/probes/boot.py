"""How this boot came about: boot id, kernel, command line, time, firmware, boot loader."""

from __future__ import annotations

from transom import model
from transom.host import kernel_args, probe

COMMAND = """
show() { IFS= read -r value <"$2" && printf '%s=%s\\n' "$1" "$value"; }
show boot_id /proc/sys/kernel/random/boot_id
show kernel /proc/sys/kernel/osrelease
show cmdline /proc/cmdline
printf 'time='; grep '^btime ' /proc/stat
[ -d /sys/firmware ] && printf 'firmware=1\\n'
[ -d /sys/firmware/efi ] && printf 'efi=1\\n'
[ -s /etc/kernel/proxmox-boot-uuids ] && printf 'boot_tool=1\\n'
[ -f /boot/grub/grub.cfg ] && printf 'grub=1\\n'
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
    return model.Boot(
        boot_id=_or_unknown(given, "boot_id", "/proc/sys/kernel/random/boot_id"),
        kernel=_or_unknown(given, "kernel", "/proc/sys/kernel/osrelease"),
        cmdline=model.Unknown("cannot read /proc/cmdline") if cmdline is None else kernel_args.split(cmdline),
        loader=_loader(given),
        efi="efi" in given if "firmware" in given else model.Unknown("no /sys/firmware"),
        time_ns=_time(given),
    )


def unknown(reason: str) -> model.Boot:
    """A boot of which nothing is known."""
    why = model.Unknown(reason)
    return model.Boot(why, why, why, why, why, why)


def _or_unknown(given: dict[str, str], name: str, path: str) -> str | model.Unknown:
    return given.get(name) or model.Unknown(f"cannot read {path}")


def _loader(given: dict[str, str]) -> str | model.Unknown:
    """Plain GRUB or Unknown: what proxmox-boot-tool copies to the ESP cannot be told from here (it may be either loader)."""
    if "boot_tool" in given:
        likely = "systemd-boot" if "efi" in given else "GRUB from the ESP"
        return model.Unknown(f"proxmox-boot-tool manages the boot, likely {likely}: /etc/kernel/proxmox-boot-uuids")
    return "grub" if "grub" in given else model.Unknown("no /boot/grub/grub.cfg and no /etc/kernel/proxmox-boot-uuids")


def _time(given: dict[str, str]) -> int | model.Unknown:
    seconds = given.get("time", "").removeprefix("btime ")
    return int(seconds) * 1_000_000_000 if seconds.isdigit() else model.Unknown("no btime in /proc/stat")


PROBE = probe.Probe("boot", COMMAND, parse)
