"""Kernel settings under /proc/sys, by raw token: ``vm.nr_hugepages=1024``. Set at once, and at each boot by systemd-sysctl.

sysctl.d(5): files of all folders in the order of their names, /etc hiding a file of one name elsewhere; of two values the last
counts. A key whose first separator is ``/`` has dots for themselves (``net/ipv4/conf/eno1.10/…``), otherwise dots separate.
"""

from __future__ import annotations

import posixpath
import re

from transom import model
from transom.host import conditions, files, line_items, lines, numbers, setting

OWN = "/etc/sysctl.d/zz-transom.conf"
FOLDERS = (
    "/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/usr/local/lib/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf",
)  # fmt: skip
_LINE = re.compile(r"\s*-?\s*([^#;=\s][^=\s]*)\s*=(.*)")


def normal(item: str) -> str:
    """The key with dots between its parts (a dot within a part is ``/`` then), single blanks in the value."""
    key, _, value = item.partition("=")
    separators = [char for char in key if char in "./"]
    if separators[:1] == ["/"]:
        key = key.translate(str.maketrans("./", "/."))
    return f"{key}={' '.join(value.split())}"


def path(item: str) -> str:
    """Where the kernel has the key of a normal item."""
    return f"/proc/sys/{key(item).translate(str.maketrans('./', '/.'))}"


def _places(text: str) -> tuple[line_items.Place, ...]:
    found = ((number, _LINE.fullmatch(line.rstrip("\n"))) for number, line in enumerate(lines.split(text), 1))
    return tuple(
        line_items.Place(normal(f"{match.group(1)}={match.group(2)}"), number, number)
        for number, match in found
        if match
    )


_FORM = line_items.Form(_places, lambda item: item.replace("=", " = ", 1), lambda _text: False)


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every setting of every file, in the order of reading."""
    first: dict[str, model.HostFile] = {}
    for pattern in FOLDERS:
        found = files.listed(facts, pattern) if pattern == FOLDERS[0] else files.present(facts, pattern)
        if isinstance(found, model.Unknown):
            return found
        for file in found:
            first.setdefault(posixpath.basename(file.path), file)
    ordered = (first[name] for name in sorted(first, key=str.encode))
    return tuple(item for file in ordered for item in line_items.items(_FORM, str(file.text), file.path))


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """A line of a file read after ours that gives another value. Those before are defaults, which ours is there to change."""
    return tuple(
        setting.Clash(want, item, f"read after {OWN}, and the last value counts")
        for want in wants
        for item in items
        if key(item.value) == key(want)
        and item.value != want
        and posixpath.basename(item.path) > posixpath.basename(OWN)
    )


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line a key."""
    return line_items.edit(_FORM, text, owned, wanted)


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether /proc/sys shows the value; Unknown for a key that was not read: those of our own file are."""
    if isinstance(facts.sysctl, model.Unknown):
        return facts.sysctl
    shown = facts.sysctl.get(key(item))
    return model.Unknown(f"{key(item)} was not read") if shown is None else _shows(item, shown)


def kept_otherwise(item: str, facts: model.Facts) -> bool:
    """Whether the kernel showed another value right after the item was last set, since this boot: it makes something else of it
    (1010 huge pages of 1024), and setting it again does not help."""
    shown = facts.sysctl_set.get(item)
    return shown is not None and not _shows(item, shown)


def given(text: str) -> tuple[str, ...]:
    """The items of one file."""
    return tuple(place.value for place in _places(text))


def _shows(item: str, shown: str) -> bool:
    """Numbers as numbers: ``0x400`` is shown as 1024."""
    mine, theirs = (tuple(map(numbers.plain, text.split())) for text in (item.partition("=")[2], shown))
    return mine == theirs


def release(text: str, line: int, item: str) -> str:
    """The line as a comment."""
    return line_items.release(_FORM, text, line, item)


def key(item: str) -> str:
    """The key of a normal item."""
    return item.partition("=")[0]


SETTING = setting.HostSetting(
    key="sysctl",
    path=OWN,
    after=(model.Step.SYSCTL,),
    impact=model.Impact.LIVE,
    select=conditions.selector("sysctl", normal),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
)
