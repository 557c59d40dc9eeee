"""The names of what is ours, built and taken apart in one place.

``host/<setting>/<item>``, ``foreign/<file>/<mark>/<setting>=<item>+…`` (percent-quoted), ``rom/<file name>``, ``mapping/<name>``,
``qemu/<vmid>`` and ``qemu/<vmid>/<key>``; a VM whose id is still open is ``qemu/(<document name>)``.
"""

from __future__ import annotations

import dataclasses
import urllib.parse


@dataclasses.dataclass(frozen=True)
class Host:
    """An item of a host setting."""

    setting: str
    item: str

    def __str__(self) -> str:
        return f"host/{self.setting}/{self.item}"


@dataclasses.dataclass(frozen=True)
class Foreign:
    """Lines of ``file`` (absolute) that were taken over. ``mark`` tells places of one file apart; ``causes`` are the wanted items
    (setting, item) that the lines contradicted."""

    file: str
    mark: str
    causes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        causes = "+".join(f"{setting}={urllib.parse.quote(item, safe='')}" for setting, item in self.causes)
        return f"foreign/{urllib.parse.quote(self.file, safe='')}/{self.mark}/{causes}"


@dataclasses.dataclass(frozen=True)
class Rom:
    """An option ROM by its file name."""

    filename: str

    def __str__(self) -> str:
        return f"rom/{self.filename}"


@dataclasses.dataclass(frozen=True)
class Guest:
    """A VM (``key`` empty) or one of its keys. ``subject``: its id, or ``(<document name>)`` while that is open."""

    subject: str
    key: str = ""

    def __str__(self) -> str:
        return f"qemu/{self.subject}/{self.key}" if self.key else f"qemu/{self.subject}"

    @property
    def vmid(self) -> int | None:
        """None while it is open."""
        return int(self.subject) if self.subject.isdecimal() else None


@dataclasses.dataclass(frozen=True)
class PciMapping:
    """This node's entry in a resource mapping."""

    name: str

    def __str__(self) -> str:
        return f"mapping/{self.name}"


Path = Host | Foreign | Rom | Guest | PciMapping


def guest(vmid: int | None, name: str = "", key: str = "") -> Guest:
    """``name`` is the document's, for a VM without an id yet."""
    return Guest(str(vmid) if vmid is not None else f"({name})", key)


def parse(path: str) -> Path:
    """What ``str`` of it gave. ValueError for anything else."""
    top, _, rest = path.partition("/")
    first, mark, second = rest.partition("/")
    match top:
        case "host" if first and second:
            return Host(first, second)
        case "foreign" if first and "/" in second:
            place, _, causes = second.partition("/")
            pairs = (cause.partition("=") for cause in causes.split("+"))
            items = tuple((setting, urllib.parse.unquote(item)) for setting, _, item in pairs)
            return Foreign(urllib.parse.unquote(first), place, items)
        case "rom" if rest:
            return Rom(rest)
        case "mapping" if rest:
            return PciMapping(rest)
        case "qemu" if first and bool(mark) == bool(second):
            return Guest(first, second)
    raise ValueError(f"{path!r} is no path of the ledger")


def within(path: str, top: str) -> bool:
    """Whether ``path`` is ``top`` or lies below it: ``qemu/1000`` is not within ``qemu/100``."""
    return path == top or path.startswith(f"{top}/")
