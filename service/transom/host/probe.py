"""The seam of a probe: a read-only shell command, and the pure parser of what it prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

from transom import model

T = TypeVar("T")
PCI_FUNCTION = r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
"""In a path of sysfs. Behind a controller with buses of its own (Intel VMD) the domain has more digits: ``10000:e1:00.0``."""


@dataclasses.dataclass(frozen=True)
class Probe(Generic[T]):
    """One probe.

    ``command``: POSIX sh, reads only, few forks; runs in a subshell with ``LC_ALL=C``, no stdin, and stderr thrown away.
    ``parse(body)``: the value; ValueError for nonsense, which makes the fact Unknown.
    """

    name: str
    command: str
    parse: Callable[[bytes], T]


def result(one: Probe[T], body: bytes, status: int) -> T | model.Unknown:
    """The parsed value; Unknown with the reason when the probe failed or printed nonsense."""
    if status != 0:
        return model.Unknown(f"probe {one.name} failed with status {status}")
    try:
        return one.parse(body)
    except ValueError as fault:
        return model.Unknown(f"probe {one.name}: {fault}")
