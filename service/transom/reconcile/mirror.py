"""The ledger's copy on the node: what Transom changed there can be told even when the daemon is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping

from transom import model
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

PATH = f"{eff.KEEP}/ledger.json"


def write(host: w.Host, ledger: Mapping[str, model.Entry]) -> None:
    """Make the copy hold exactly ``ledger``."""
    data = json.dumps([model.to_json(entry) for entry in ledger.values()], indent=1, sort_keys=True).encode() + b"\n"
    present = remote.read(host, PATH)
    if present != data:
        expect = remote.sha256(present) if present is not None else None
        remote.write(host, PATH, data, mode=0o600, expect=expect, backup=None)
