"""``boot``: the order of devices. ``order=scsi0;net0`` keeps its order; the old form is letters (``cdn``)."""

from __future__ import annotations

import re

from transom.guest import props
from transom.guest.fields import making


def _order(value: str) -> str:
    return ";".join(part for part in re.split(r"[;\s]+", value.strip()) if part)


SCHEMA = props.Schema(props={"legacy": props.Prop(), "order": props.Prop(_order)}, default_key="legacy")

FIELDS = (
    making.property_string("boot", "boot", SCHEMA),
    making.plain("bootdisk", "bootdisk", props.text),
)
