"""/boot/grub/grub.cfg as grub-mkconfig wrote it: which kernels it offers, with which command lines."""

from __future__ import annotations

import dataclasses
import re

from transom.host import grub_words

_ENTRY = re.compile(r"\s*menuentry\s+(.*)")
_LINUX = re.compile(r"\s*linux(?:16|efi)?\s+(.*)")
_KERNEL = re.compile(r"(?:.*/)?vmlinuz-?")
_SECTION = re.compile(r"### (BEGIN|END) (\S+) ###")
_RECOVERY = frozenset({"single", "recovery", "emergency"})


@dataclasses.dataclass(frozen=True)
class Entry:
    """One menu entry that boots Linux. ``kernel`` is a version such as ``5.15.74-1-pve``, or the image's path when it has none.

    ``tokens``: the kernel command line. ``recovery``: the single-user entry, which leaves GRUB_CMDLINE_LINUX_DEFAULT out.
    """

    title: str
    kernel: str
    tokens: tuple[str, ...]
    recovery: bool


def entries(text: str) -> tuple[Entry, ...]:
    """The entries of 10_linux in menu order, those of submenus included.

    Others are left out, as they never take GRUB's defaults: memtest, other systems (os-prober), custom entries. A file without
    grub-mkconfig's section marks counts whole.
    """
    found: list[Entry] = []
    title = ""
    inside = unmarked = "### BEGIN " not in text
    for line in text.split("\n"):
        if marked := _SECTION.match(line):
            inside = unmarked or (marked.group(1) == "BEGIN" and "10_linux" in marked.group(2))
        elif not inside:
            continue
        elif opened := _ENTRY.match(line):
            title = _title(opened.group(1))
        elif title and (linux := _LINUX.match(line)):
            image, *tokens = grub_words.split(linux.group(1)) or ("",)
            if (kernel := _KERNEL.match(image)) is not None:
                recovery = bool(_RECOVERY & set(tokens)) or "recovery mode" in title
                found.append(Entry(title, image[kernel.end() :] or image, tuple(tokens), recovery))
            title = ""
    return tuple(found)


def is_first(text: str) -> bool:
    """Whether the menu begins with an entry of 10_linux, so that the default `0` is one."""
    first = next((opened.group(1) for line in text.split("\n") if (opened := _ENTRY.match(line))), "")
    found = entries(text)
    return bool(found) and found[0].title == _title(first)


def body(text: str, kernel: str) -> tuple[str, ...]:
    """The lines in the first entry that boots ``kernel`` (recovery apart), as they stand; empty when there is none."""
    lines: list[str] | None = None
    for line in text.split("\n"):
        if opened := _ENTRY.match(line):
            lines = None if "recovery mode" in opened.group(1) else []
        elif lines is not None and line.strip() == "}":
            if any(_boots(one, kernel) for one in lines):
                return tuple(lines)
            lines = None
        elif lines is not None:
            lines.append(line)
    return ()


def _title(opened: str) -> str:
    """Of what follows ``menuentry``."""
    return next(iter(grub_words.split(opened)), "").strip('"')


def with_tokens(line: str, tokens: tuple[str, ...]) -> str:
    """A line of an entry; the one that names the kernel with ``tokens`` for its own."""
    linux = _LINUX.match(line)
    return f"{line[: linux.start(1)]}{linux.group(1).split()[0]} {' '.join(tokens)}" if linux else line


def _boots(line: str, kernel: str) -> bool:
    linux = _LINUX.match(line)
    return linux is not None and linux.group(1).split()[0].endswith(f"/vmlinuz-{kernel}")
