"""What reading a firmware image gives: the tree of its parts, the drivers in it, and what could not be read."""

from __future__ import annotations

import dataclasses
import enum

from transom.rom import gop


class Level(enum.Enum):
    """How bad a problem is."""

    DAMAGE = "damage"  # the bytes contradict themselves: truncated, corrupt, a wrong checksum
    UNREAD = "unread"  # a part in a form that is not unpacked here: what is in it is not known
    NOTE = "note"


@dataclasses.dataclass(frozen=True)
class Problem:
    """``where`` is the path of names from the outside in; ``offset`` counts inside the innermost expanded part."""

    level: Level
    text: str
    where: str
    offset: int


@dataclasses.dataclass(frozen=True)
class Node:
    """One part. ``offset`` counts inside the innermost expanded part, in bytes."""

    kind: str
    name: str
    offset: int
    size: int
    children: tuple[Node, ...] = ()


@dataclasses.dataclass(frozen=True)
class Driver:
    """An executable. ``form`` is PE32, TE, or where a PE was found that no section announces; ``data`` is empty unless kept.

    ``damaged`` says why its bytes are not to be trusted, ``unloadable`` why firmware would not start them; or they are empty.
    """

    name: str
    guid: str
    form: str
    machine: str
    subsystem: str
    size: int
    sha256: str
    where: str
    gop: gop.Gop | None = None
    damaged: str = ""
    unloadable: str = ""
    warnings: tuple[str, ...] = ()
    data: bytes = b""
