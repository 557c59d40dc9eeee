"""The kernel command line as tokens: how the kernel splits it, which keys may stand several times."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
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


_SUMS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "acpi": (frozenset({"off", "force"}),),
    "amd_iommu": (frozenset({"pgtbl_v1", "pgtbl_v2"}),),
    "intel_iommu": (frozenset({"on", "off"}), frozenset({"sm_on", "sm_off"})),
    "iommu": tuple(frozenset({word, f"no{word}"}) for word in ("pt", "force", "merge", "panic")),
    "pcie_acs_override": (),
}
"""Keys of which each occurrence sets switches beside the earlier ones, with the words that undo each other. An ``off`` that nothing
undoes stays (``no_iommu``, ``amd_iommu_disabled``). Sources: ``intel_iommu_setup``, ``iommu_setup`` of arch/x86/kernel/pci-dma.c,
``parse_amd_iommu_options``, ``parse_acpi``, ``pcie_acs_override_setup`` of the ACS override patch."""
_WHOLE = frozenset({"acpi"})
"""Of those, keys with one word a token: the others take comma lists."""

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


def sums(name: str) -> bool:
    """Whether tokens with this key (as ``key`` gives it) set switches that add up."""
    return name in _SUMS


def parts(token: str) -> tuple[str, ...]:
    """The switches that a token with such a key sets, as written."""
    words = value(token) or ""
    return tuple(word for word in ([words] if key(token) in _WHOLE else words.split(",")) if word)


def opposed(name: str, one: str, other: str) -> bool:
    """Whether two switches of the key ``name`` undo each other, or ``other`` leaves ``one`` without meaning."""
    pair = {one, other}
    return one != other and (other == "off" or any(pair <= group for group in _SUMS[name]))


def standing(name: str, tokens: Iterable[str]) -> frozenset[str]:
    """The switches of the key ``name`` in effect after all ``tokens``, those of other keys aside; ``off`` alone where it stands."""
    found: set[str] = set()
    for part in (part for token in tokens if key(token) == name for part in parts(token)):
        undone = {word for group in _SUMS[name] if part in group for word in group}
        found = (found - undone) | {part}
    return frozenset({"off"} if "off" in found else found)


def gives(token: str, want: str) -> bool:
    """Whether ``token`` sets all that ``want`` does: it is the same, or each switch of ``want`` is in its list."""
    name = key(want)
    return token == want or (sums(name) and bool(parts(want)) and set(parts(want)) <= standing(name, (token,)))
