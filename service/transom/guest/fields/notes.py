"""What people read: ``description`` and ``tags``. Our own mark in them belongs to no document: it neither differs nor gets lost."""

from __future__ import annotations

import re

from transom.guest import field, identity
from transom.guest.fields import making


def _same_description(wanted: str, observed: str) -> bool:
    return identity.unmark(wanted) == identity.unmark(observed)


def _merge_description(wanted: str, observed: str) -> str:
    mark = identity.read(observed)
    return identity.mark(wanted, mark.name, mark.home) if mark else wanted


def _tags(value: str) -> tuple[str, ...]:
    # PVE sorts, drops repeats and lowers the case, unless the datacenter's tag style says otherwise: neither is a difference.
    return tuple(sorted({tag.lower() for tag in identity.tags(value)} - {identity.TAG}))


def _merge_tags(wanted: str, observed: str) -> str:
    return identity.mark_tags(wanted) if identity.TAG in identity.tags(observed) else wanted


FIELDS = (
    field.VmField(
        "description",
        re.compile("description"),
        identity.unmark,
        _same_description,
        _merge_description,
        making.api,
        hotplug=True,
    ),
    field.VmField(
        "tags",
        re.compile("tags"),
        _tags,
        lambda wanted, observed: _tags(wanted) == _tags(observed),
        _merge_tags,
        making.api,
        hotplug=True,
    ),
)
