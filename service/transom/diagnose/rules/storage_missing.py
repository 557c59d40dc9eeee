"""A document names a storage that the node does not have."""

from __future__ import annotations

from collections.abc import Mapping

from transom import model
from transom.diagnose import rule, view
from transom.guest import registry

RULE = rule.Rule(
    id="storage-missing",
    scope=rule.Scope.GUEST,
    needs=("PVE API, nodes/NODE/storage",),
    who=model.Who.REFUSE,
    remedy="Name one of {there} in {document}, or make the storage available on this node.",
    holds=True,
)

_FIELDS = frozenset({"disk", "efidisk", "tpmstate", "hookscript"})


def judge(guest: view.Guest) -> rule.Verdict:
    wanted, storages = guest.wanted, guest.host.facts.storages
    if isinstance(wanted, model.Unknown):
        return rule.cannot_tell(wanted.unknown)
    named = _named(wanted)
    if not named:
        return rule.clear()
    if isinstance(storages, model.Unknown):
        return rule.cannot_tell(f"storages: {storages.unknown}")
    missing = {key: storage for key, storage in named.items() if storage not in storages}
    if not missing:
        return rule.clear()
    first = next(iter(missing.values()))
    return rule.found(
        f"storage '{first}' does not exist",
        [model.Evidence(guest.wish.document, f"{key}: {wanted[key]}") for key in missing],
        there=", ".join(sorted(storages)) or "(none)",
        document=guest.wish.document,
    )


def _named(wanted: Mapping[str, str]) -> dict[str, str]:
    """Key → storage, for the values that name a volume (``local-lvm:32``, ``local:iso/x.iso``)."""
    volumes = {
        key: value.split(",")[0].removeprefix("file=").removeprefix("volume=")
        for key, value in sorted(wanted.items())
        if registry.field_for(key).name in _FIELDS
    }
    return {
        key: volume.partition(":")[0]
        for key, volume in volumes.items()
        if ":" in volume and "/" not in volume.partition(":")[0]
    }
