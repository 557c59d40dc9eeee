"""What a worker may use."""

from __future__ import annotations

import dataclasses

MIB = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Limits:
    """Memory (address space) and answer in bytes, times in seconds. Fits images of 64 MiB; the answer holds a ROM of 16 MiB."""

    memory: int = 768 * MIB
    cpu: int = 60
    wall: float = 90.0
    answer: int = 48 * MIB
    input: int = 128 * MIB
