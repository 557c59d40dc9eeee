"""Which kernel the next boot takes: the entry that the boot loader takes by default. Pure.

A one-shot entry that somebody asked for comes before it, and so does systemd-boot's own choice in an EFI variable: neither is seen.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from transom import model
from transom.host import boot_entries, grub_cfg, loader, versions

_DEFAULT = re.compile(r"""^\s*set default=["']?([^"'\n]*)["']?\s*$""", re.MULTILINE)
_GIVEN_ONCE = "${next_entry}"


def of(facts: model.Facts) -> model.Maybe[str]:
    """Its version; Unknown where the loader's default cannot be followed."""
    entries = boot_entries.entries(facts)
    if isinstance(entries, model.Unknown):
        return entries
    place, text = _written(facts)
    if text is None:
        return model.Unknown(f"{place} is not seen")
    taken = (_by_grub if facts.boot.loader == loader.GRUB else _by_systemd_boot)(text, entries)
    return taken or model.Unknown(f"the default in {place} cannot be followed")


def _written(facts: model.Facts) -> tuple[str, str | None]:
    """Where the loader's default is written, and what is written there."""
    if facts.boot.manager == loader.MKCONFIG:
        file = facts.file(boot_entries.GRUB_CFG)
        text = file.text if isinstance(file, model.HostFile) else None
        return boot_entries.GRUB_CFG, text if isinstance(text, str) else None
    path = loader.GRUB_CFG if facts.boot.loader == loader.GRUB else loader.LOADER_CONF
    esps = () if isinstance(facts.esps, model.Unknown) else facts.esps
    return path, next((esp.files[path] for esp in esps if isinstance(esp.files, dict) and path in esp.files), None)


def _by_grub(text: str, entries: Sequence[boot_entries.Entry]) -> str | None:
    """The first entry for `0`; else the one kernel that an id or a title names (``…>gnulinux-6.8.12-1-pve-advanced-UUID``)."""
    given = {value for value in _DEFAULT.findall(text) if value != _GIVEN_ONCE}
    if len(given) != 1 or not entries:
        return None
    (default,) = given
    if default == "0":
        return entries[0].kernel if grub_cfg.is_first(text) else None
    named = {one.kernel for one in entries if _names(default, one.kernel)}
    return named.pop() if len(named) == 1 else None


def _names(text: str, kernel: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(kernel)}(?![\w.])", text) is not None


def _by_systemd_boot(text: str, entries: Sequence[boot_entries.Entry]) -> str | None:
    """The newest of those that the pattern in loader.conf fits, of all where it gives none."""
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    pattern = next((words[1].strip() for words in reversed(lines) if words[0] == "default" and len(words) > 1), "*")
    fitting = [
        one.kernel for one in entries if fnmatch.fnmatchcase(_name(one), pattern) or _name(one) == f"{pattern}.conf"
    ]
    try:
        return max(fitting, key=versions.numbers, default=None)
    except ValueError:
        return None


def _name(entry: boot_entries.Entry) -> str:
    return entry.place.rpartition("/")[2]
