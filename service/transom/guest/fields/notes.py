"""What people read: ``description`` and ``tags``. Our own mark counts only when it is wanted; a rewrite never loses it."""

from __future__ import annotations

import re

from transom.guest import field, identity
from transom.guest.fields import making


def _same_description(wanted: str, observed: str) -> bool:
    want = identity.read(wanted)
    return identity.unmark(wanted) == identity.unmark(observed) and want in (None, identity.read(observed))


def _merge_description(wanted: str, observed: str) -> str:
    mark = identity.read(observed)
    return identity.mark(wanted, mark.name, mark.home) if mark and not identity.read(wanted) else wanted


def _tags(value: str) -> frozenset[str]:
    # PVE sorts, drops repeats and lowers the case, unless the datacenter's tag style says otherwise: neither is a difference.
    return frozenset(tag.lower() for tag in identity.tags(value))


def _same_tags(wanted: str, observed: str) -> bool:
    want = _tags(wanted)
    return want == _tags(observed) - ({identity.TAG} - want)


def _merge_tags(wanted: str, observed: str) -> str:
    return identity.mark_tags(wanted) if identity.TAG in identity.tags(observed) else wanted


FIELDS = (
    field.VmField(
        name="description",
        key=re.compile("description"),
        parse=identity.unmark,
        same=_same_description,
        merge=_merge_description,
        route=making.api,
        live=True,
    ),
    field.VmField(
        name="tags",
        key=re.compile("tags"),
        parse=_tags,
        same=_same_tags,
        merge=_merge_tags,
        route=making.api,
        live=True,
    ),
)
