"""What GRUB would do with ``/boot/grub/grub.cfg``: which entry it boots, with which kernel, initrd and words. Pure.

Written for itself, not shared with the product's reader, so that the two can disagree.
"""

from __future__ import annotations

import dataclasses
import re

_ENTRY = re.compile(r"^\s*(menuentry|submenu)\s+(.*)\{\s*$")


class BadMenu(ValueError):
    """GRUB would stop at its prompt."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One menu entry; ``index`` and ``titles`` lead to it from the top (``1>2``)."""

    title: str
    ident: str
    index: tuple[int, ...]
    titles: tuple[str, ...]
    kernel: str = ""
    words: tuple[str, ...] = ()
    initrd: str = ""


@dataclasses.dataclass
class _Level:
    """A menu that is being read: how it was reached, and how many entries it has so far."""

    index: tuple[int, ...] = ()
    titles: tuple[str, ...] = ()
    count: int = 0


def entries(text: str) -> list[Entry]:
    """All bootable entries, submenus walked, in order."""
    found: list[Entry] = []
    levels = [_Level()]
    current: Entry | None = None
    for line in text.splitlines():
        head = _ENTRY.match(line)
        words = split(head.group(2) if head else line)
        if head:
            level, title = levels[-1], words[0] if words else ""
            index, titles = (*level.index, level.count), (*level.titles, title)
            level.count += 1
            if head.group(1) == "submenu":
                levels.append(_Level(index, titles))
            else:
                current = Entry(title, _ident(words), index, titles)
        elif words == ["}"] and current is not None:
            found.append(current)
            current = None
        elif words == ["}"] and len(levels) > 1:
            levels.pop()
        elif current is not None and words:
            current = _command(current, words)
    return found


def _ident(words: list[str]) -> str:
    marks = ("$menuentry_id_option", "--id")
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in marks), "")


def _command(entry: Entry, words: list[str]) -> Entry:
    if words[0] in ("linux", "linuxefi") and len(words) > 1:
        return dataclasses.replace(entry, kernel=words[1], words=tuple(words[2:]))
    if words[0] in ("initrd", "initrdefi") and len(words) > 1:
        return dataclasses.replace(entry, initrd=words[1])
    return entry


def default(text: str, once: str = "") -> Entry:
    """The entry that boots without a key being pressed; BadMenu when there is none. ``once``: next_entry in the environment."""
    everything = entries(text)
    given = [split(value) for value in re.findall(r"^\s*set default=(.*)$", text, re.M) if "next_entry" not in value]
    wanted = once or (given[0][0] if given and given[0] else "0")
    chosen = next((entry for entry in everything if _is(entry, wanted)), None)
    # GRUB falls back to the first entry when the default names none
    chosen = chosen or next(iter(everything), None)
    if chosen is None or not chosen.kernel:
        raise BadMenu("grub.cfg has no entry that boots a kernel")
    return chosen


def _is(entry: Entry, wanted: str) -> bool:
    parts = wanted.split(">")
    if len(parts) != len(entry.index):
        return wanted == entry.ident
    pairs = zip(parts, entry.index, entry.titles, strict=True)
    return wanted == entry.ident or all(part in (str(number), title) for part, number, title in pairs)


def split(line: str) -> list[str]:
    """The words of one line as GRUB's script language reads them: quotes, backslashes, comments. Variables stay as written."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(line):
        char = line[at]
        if quote == "'":
            quote, word = ("", word) if char == "'" else (quote, (word or "") + char)
        elif char == "\\" and at + 1 < len(line):
            at += 1
            kept = "\\" if quote == '"' and line[at] not in '"\\$' else ""
            word = (word or "") + kept + line[at]
        elif char == '"' or (char == "'" and not quote):
            quote = "" if quote else char
            word = word or ""
        elif not quote and char in " \t;":
            words, word = ([*words, word], None) if word is not None else (words, None)
        elif not quote and char == "#" and word is None:
            break
        else:
            word = (word or "") + char
        at += 1
    return [*words, word] if word is not None else words


def cmdline(entry: Entry) -> str:
    """The kernel's command line as GRUB hands it over: words with blanks are quoted again."""
    words = (f'"{word}"' if any(c in word for c in " \t") else word for word in entry.words)
    return " ".join((f"BOOT_IMAGE={entry.kernel}", *words))
