"""What systemd-boot would do with the ESP: which entry it boots, with which kernel, initrd and words. Pure.

Written for itself, not shared with the product's reader, so that the two can disagree.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

from transom.lab import bootmenu

UUID = "2A13-C6F9"
FOLDER = f"var/lib/lab-esp/{UUID}"
"""The ESP of a lab node: a folder of its root, which ``mount`` brings to where it is asked for."""


def default(files: Mapping[str, str]) -> bootmenu.Entry:
    """The entry that boots by itself, of the ESP's texts by path; bootmenu.BadMenu when there is none."""
    wanted = re.search(r"^default\s+(\S+)", files.get("loader/loader.conf", ""), re.M)
    pattern = wanted.group(1) if wanted else "*"
    names = {path.rpartition("/")[2]: text for path, text in files.items() if path.startswith("loader/entries/")}
    fitting = [name for name in names if fnmatch.fnmatchcase(name, pattern) or name == f"{pattern}.conf"]
    if not names:
        raise bootmenu.BadMenu("systemd-boot finds no entry on the ESP")
    name = max(fitting or names, key=_version)
    fields: dict[str, list[str]] = {}
    for line in names[name].splitlines():
        key, _, value = line.strip().partition(" ")
        fields.setdefault(key, []).append(value.strip())
    if "linux" not in fields:
        raise bootmenu.BadMenu(f"{name} has no line linux")
    words = tuple(" ".join(fields.get("options", [])).split())
    return bootmenu.Entry(name, name, (0,), (name,), fields["linux"][-1], words, fields.get("initrd", [""])[-1])


def cmdline(entry: bootmenu.Entry) -> str:
    """As the kernel's EFI stub gets it: the initrd first, with the firmware's slashes."""
    return " ".join((f"initrd={entry.initrd}".replace("/", "\\"), *entry.words))


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", name))
