"""QEMU's command line, as far as graphics hang on it: what it was started with beside what PVE would start it with now.

Only what cannot change while QEMU runs and what this product is about is looked at: devices given by vfio-pci, the display, machine
type, firmware, CPU model, and the words of ``args``. Disks, network cards and memory come and go by hotplug; names, sockets, PIDs
and what a migration adds differ always. The order of PVE's options: qemu-server 9.2.6, ``config_to_command``.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence, Set

_PASSED = ("vfio-pci", "vfio-pci-nohotplug")
_GIVEN = re.compile(r"(hostpci\d+)(?:\.\d+)?")
_DISPLAY = re.compile(r"vga\d?")
_SHOWN_SIZES = frozenset({"vgamem_mb", "ram_size", "vram_size", "max_outputs", "max_hostmem"})
_VERSION = re.compile(r"-(\d+(?:\.\d+)+)")
_STARTED = frozenset({"S", "incoming", "loadstate", "snapshot"})
"""What PVE puts behind the machine for a start of its own kind."""


@dataclasses.dataclass(frozen=True)
class Option:
    """``-name value``; ``value`` is empty for a bare one."""

    name: str
    value: str = ""

    @property
    def text(self) -> str:
        return shlex.join(filter(None, (f"-{self.name}", self.value)))


@dataclasses.dataclass(frozen=True)
class Difference:
    """What a key of the configuration made of the running QEMU, and what it would make of one that is started now."""

    key: str
    running: str
    wanted: str


def parse(argv: Sequence[str]) -> tuple[Option, ...]:
    """The options, the program's name and what stands before it left out."""
    found: list[Option] = []
    for word in argv:
        if word.startswith("-") and len(word) > 1:
            found.append(Option(word.removeprefix("-").removeprefix("-")))
        elif found and not found[-1].value:
            found[-1] = dataclasses.replace(found[-1], value=word)
    return tuple(found)


def differences(
    running: Sequence[str], wanted: Sequence[str], *, pinned: bool, pooled: Set[str] = frozenset()
) -> tuple[Difference, ...]:
    """By key, in the order of their names. Both as ``/proc/PID/cmdline`` has them.

    ``pinned``: the configuration names a version of the machine; else it moves with every upgrade, and is no difference.
    ``pooled``: keys for which PVE takes any free device of several, so that which one it is tells nothing.
    """
    one, other = parse(running), parse(wanted)
    here, there = _topics(one, pinned=pinned, pooled=pooled), _topics(other, pinned=pinned, pooled=pooled)
    found = [
        Difference(key, here.get(key, ""), there.get(key, ""))
        for key in sorted(here.keys() | there.keys())
        if here.get(key, "") != there.get(key, "")
    ]
    gone = [option for option in _tail(one) if option not in other]
    new = [option for option in _tail(other) if option not in one]
    args = [Difference("args", _text(gone), _text(new))] if gone or new else []
    return tuple(sorted((*found, *args), key=lambda difference: difference.key))


def _text(options: Iterable[Option]) -> str:
    return " ".join(option.text for option in options)


def _head(options: Sequence[Option]) -> Sequence[Option]:
    """What PVE makes of the other keys: all up to its own ``-machine``, which is the first."""
    at = next((number for number, option in enumerate(options) if option.name == "machine"), len(options) - 1)
    return options[: at + 1]


def _tail(options: Sequence[Option]) -> list[Option]:
    """What ``args`` adds, and what else stands behind the machine."""
    return [option for option in options[len(_head(options)) :] if option.name not in _STARTED]


def _topics(options: Sequence[Option], *, pinned: bool, pooled: Set[str]) -> dict[str, str]:
    """Key → what PVE made of it, in a form in which equal things are equal texts."""
    said: dict[str, list[str]] = {}
    for option in _head(options):
        for key, text in _said(option, pinned=pinned, pooled=pooled):
            said.setdefault(key, []).append(text)
    return {key: " ".join(sorted(texts)) for key, texts in said.items()}


def _said(option: Option, *, pinned: bool, pooled: Set[str]) -> Iterable[tuple[str, str]]:
    """``bios`` and ``cpu`` by what tells kinds apart: the rest of their words hangs on QEMU's version."""
    match option.name:
        case "vga" | "display" | "nographic":
            yield "vga", option.text
        case "cpu":
            yield "cpu", option.value.partition(",")[0]
        case "machine":
            yield from _machine(option.value, pinned=pinned)
        case "drive" | "blockdev" if "pflash" in option.value:
            yield "bios", "pflash"
        case "device":
            yield from _device(option.value, pooled)


def _device(value: str, pooled: Set[str]) -> Iterable[tuple[str, str]]:
    driver, *rest = value.split(",")
    parts = {name: text for name, _, text in (part.partition("=") for part in rest)}
    name = parts.get("id", "")
    given = _GIVEN.fullmatch(name)
    if given and driver in _PASSED:
        aside = {"bootindex"} | ({"host"} if given[1] in pooled else set())  # the boot order is another key's matter
        yield given[1], f"{driver},{_joined(part for part in parts.items() if part[0] not in aside)}"
    elif _DISPLAY.fullmatch(name):
        sizes = _joined(part for part in parts.items() if part[0] in _SHOWN_SIZES)
        yield "vga", f"-device {driver}{',' if sizes else ''}{sizes}"
    elif driver in {"intel-iommu", "virtio-iommu-pci"}:
        yield "machine", driver


def _joined(parts: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{name}={text}" for name, text in sorted(parts))


def _machine(value: str, *, pinned: bool) -> Iterable[tuple[str, str]]:
    """The type: a bare word in older versions."""
    words = [part.removeprefix("type=") for part in value.split(",") if "=" not in part or part.startswith("type=")]
    for word in words:
        kind = word.partition("+")[0]
        yield "machine", kind if pinned else _VERSION.sub("", kind)
    if any(part.startswith("pflash0=") for part in value.split(",")):
        yield "bios", "pflash"
