"""What a Rom document asks of the builder, and the key under which the answer is kept: the same key, the same bytes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from transom.spec import wish


def options(build: wish.RomBuild) -> dict[str, Any]:
    """The fields of ``build.Options``."""
    ids = [device.partition(":") for device in build.devices]
    return {
        "vendor": int(ids[0][0], 16),
        "devices": [int(device, 16) for _, _, device in ids],
        "compress": build.compress,
        "pci23": build.pci23,
        "class_code": build.class_code,
        "revision": build.revision,
        "last": True,
    }


def key(build: wish.RomBuild, hashes: Sequence[str], tool: str) -> str:
    """SHA-256 over everything that makes the ROM what it is. ``hashes``: those of ``build.inputs``, in their order; ``tool``: the
    builder's version."""
    said = {
        "tool": tool,
        "inputs": [[one.role, sha256] for one, sha256 in zip(build.inputs, hashes, strict=True)],
        "options": options(build),
        "driver": build.driver,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
