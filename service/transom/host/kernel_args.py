"""The kernel command line as tokens: how the kernel splits it, which keys may stand several times."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final

END: Final = "--"

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+', re.ASCII)

REPEATABLE = frozenset(
    {
        "acpi_mask_gpe", "acpi_osi", "blkdevparts", "cgroup_disable", "console", "crashkernel", "dyndbg",
        "earlycon", "earlyprintk", "efi", "efi_fake_mem", "hugepages", "hugepagesz", "initcall_blacklist",
        "initrd", "ip", "libata.force", "memmap", "modprobe.blacklist", "module_blacklist", "modules_load",
        "mtdparts", "netdev", "pci", "pnp_reserve_mem", "rd.modules_load", "reserve", "reserve_mem",
        "systemd.mask", "systemd.setenv", "systemd.wants", "trace_event", "usbcore.quirks", "video",
    }
)  # fmt: skip
"""Keys that the kernel, kmod or systemd adds up rather than replaces (Documentation/admin-guide/kernel-parameters.txt)."""


_START = frozenset(
    {
        "boot", "break", "emergency", "init", "nfsroot", "noinitrd", "rd.break", "rd.systemd.unit", "rdinit", "rescue", "root",
        "rootflags", "rootfstype", "single", "systemd.unit",
    }
)  # fmt: skip
"""Keys that say what is mounted and run first (kernel-parameters.txt, initramfs-tools(7), kernel-command-line(7) of systemd)."""


def split(line: str) -> tuple[str, ...]:
    """The tokens of a command line; double quotes keep blanks together and stay, as in the kernel's ``next_arg``."""
    return tuple(_TOKEN.findall(line))


def spans(line: str) -> tuple[tuple[int, int], ...]:
    """Where each token of ``split`` begins and ends."""
    return tuple(found.span() for found in _TOKEN.finditer(line))


def for_kernel(tokens: Iterable[str]) -> tuple[str, ...]:
    """Those that the kernel reads: what stands behind ``--`` goes to init (``parse_args``)."""
    return tuple(itertools.takewhile(lambda token: token != END, tokens))


def key(token: str) -> str:
    """What the token sets, comparable: the kernel takes ``-`` and ``_`` for the same (``parameq``)."""
    return token.replace('"', "").partition("=")[0].replace("-", "_")


def value(token: str) -> str | None:
    """The value without its quotes; None for a bare word."""
    _, equals, rest = token.replace('"', "").partition("=")
    return rest if equals else None


def same(one: str, other: str) -> bool:
    """Whether the kernel takes both tokens for the same: quotes may stand around the value or around all (GRUB moves them)."""
    return (key(one), value(one)) == (key(other), value(other))


def decides_start(token: str) -> bool:
    """Whether the token says which root file system, init or target the kernel starts: with a wrong one nothing else comes up."""
    return key(token) in _START


def repeatable(name: str) -> bool:
    """Whether several tokens with this key (as ``key`` gives it) stand beside each other."""
    return name in REPEATABLE
