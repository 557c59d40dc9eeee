"""A document puts an ISO image into a drive that is not on the storage as this node sees it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view
from transom.guest.fields import disks

RULE = rule.Rule(
    id="image-missing",
    scope=rule.Scope.GUEST,
    needs=("PVE API, nodes/NODE/storage/STORAGE/content",),
    who=model.Who.REFUSE,
    remedy="Upload {volume} to that storage{others}.",
    holds=True,
)
_SHOWN = 5


def judge(guest: view.Guest) -> rule.Verdict:
    wanted, facts = guest.wanted, guest.host.facts
    if isinstance(wanted, model.Unknown):
        return rule.cannot_tell(wanted.unknown)
    named = {
        key: (storage, volume)
        for key, value in sorted(wanted.items())
        for storage, volume in [disks.image(value)]
        if storage
    }
    missing = {}
    for key, (storage, volume) in named.items():
        images = facts.images.get(storage)  # without: the storage itself is missing, or nobody could ask
        if isinstance(images, model.Unknown):
            return rule.cannot_tell(images.unknown)
        if images is not None and volume not in images:
            missing[key] = (volume, images)
    if not missing:
        return rule.clear()
    volume, images = next(iter(missing.values()))
    shown = f"{', '.join(sorted(images)[:_SHOWN])}{' …' if len(images) > _SHOWN else ''}"
    return rule.found(
        f"volume {volume} does not exist",
        [model.Evidence(guest.wish.document, f"{key}: {wanted[key]}") for key in missing],
        volume=volume,
        others=f", or name one that is there: {shown}" if images else "",
    )
