"""Comma lists on the kernel command line that say what modprobe.d says too: ``modprobe.blacklist=a,b``, ``vfio-pci.ids=…``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from transom import model
from transom.host import grub, grub_edit, kernel_args


@dataclasses.dataclass(frozen=True)
class Listing:
    """One token with one of the keys, and its parts as written."""

    parts: tuple[str, ...]
    path: str
    line: int


def read(facts: model.Facts, keys: Collection[str]) -> tuple[Listing, ...] | model.Unknown:
    """The tokens with one of ``keys`` (as ``kernel_args.key`` gives them), in order."""
    found = grub.tokens(facts)
    if isinstance(found, model.Unknown):
        return found
    return tuple(
        Listing(tuple((kernel_args.value(token) or "").split(",")), path, line)
        for token, path, line in found
        if kernel_args.key(token) in keys
    )


def release(text: str, line: int, item: str, keys: Collection[str], normal: Callable[[str], str]) -> str:
    """GRUB's defaults with the part that means ``item`` taken out of its list; the token goes with its last part."""

    def find(token: str) -> tuple[int, int] | None:
        if kernel_args.key(token) not in keys or "=" not in token:
            return None
        start = token.index("=") + 1
        parts = token[start:].strip('"').split(",")
        start += len(token[start:]) - len(token[start:].lstrip('"'))
        kept = [part for part in parts if normal(part) != item]
        if len(kept) == len(parts):
            return None
        return (0, len(token)) if not kept else _span(parts, start, lambda part: normal(part) == item)

    return grub_edit.release(text, line, find)


def _span(parts: list[str], start: int, goes: Callable[[str], bool]) -> tuple[int, int]:
    """The span of the first part that goes, with the comma that sets it apart."""
    at = start
    for index, part in enumerate(parts):
        if goes(part):
            return (at, at + len(part) + 1) if index == 0 else (at - 1, at + len(part))
        at += len(part) + 1
    raise ValueError("no part goes")
