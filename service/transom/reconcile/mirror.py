"""The ledger's copy on the node: what Transom changed there can be told even when the daemon is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping

from transom import model
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

PATH = f"{eff.KEEP}/ledger.json"


def render(ledger: Mapping[str, model.Entry]) -> bytes:
    """What the copy of ``ledger`` holds."""
    return json.dumps([model.to_json(entry) for entry in ledger.values()], indent=1, sort_keys=True).encode() + b"\n"


def differs(keeping: model.Keeping, ledger: Mapping[str, model.Entry]) -> model.Finding | None:
    """A note when the node has a copy and it is not one of ``ledger``: what is ours there is not known here, or the reverse."""
    if keeping.ledger_sha256 in ("", remote.sha256(render(ledger))):
        return None
    return model.Finding(
        id="ledger-differs",
        subject=PATH,
        summary="the node's copy of the ledger is not this store's: another Transom has been here, the store was restored, "
        "or the last run could not finish",
        remedy="Compare it with what this store knows; the next run replaces the copy.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(PATH, f"sha256 {keeping.ledger_sha256}"),),
    )


def write(host: w.Host, ledger: Mapping[str, model.Entry]) -> None:
    """Make the copy hold exactly ``ledger``; a node without SSH has none."""
    if not w.has_shell(host):
        return
    data = render(ledger)
    present = remote.read(host, PATH)
    if present != data:
        expect = remote.sha256(present) if present is not None else None
        remote.write(host, PATH, data, mode=0o600, expect=expect, backup=None)
