"""What cloud-init is told: ``cicustom``, ``nameserver``, ``sshkeys`` and their like. ``ipconfigN`` is among the devices."""

from __future__ import annotations

import re

from transom.guest import props
from transom.guest.fields import making

CUSTOM = props.Schema(props=dict.fromkeys(("meta", "network", "user", "vendor"), props.Prop()))


def _addresses(value: str) -> tuple[str, ...]:
    """In their order; PVE takes commas, semicolons and blanks between them."""
    return tuple(part for part in re.split(r"[,;\s]+", value) if part)


def _ssh_keys(value: str) -> str:
    return props.urlencoded(value).strip()


FIELDS = (
    making.property_string("cicustom", "cicustom", CUSTOM),
    making.plain("nameserver", "nameserver", _addresses),
    making.plain("sshkeys", "sshkeys", _ssh_keys),
)
