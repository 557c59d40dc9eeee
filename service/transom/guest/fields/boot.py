"""``boot``: ``order=scsi0;net0`` keeps its order; the old form is letters (``cdn``), and wins when both are given."""

from __future__ import annotations

import re

from transom.guest import props
from transom.guest.fields import making


def _order(value: str) -> str:
    return ";".join(part for part in re.split(r"[;,\s]+", value.strip()) if part)


def _finish(found: dict[str, str]) -> dict[str, str]:
    # qemu-server 9.2.6, device_bootorder: the order is not looked at when there are letters, whatever the schema says.
    return {key: value for key, value in found.items() if key != "order"} if "legacy" in found else found


SCHEMA = props.Schema(props={"legacy": props.Prop(), "order": props.Prop(_order)}, default_key="legacy", finish=_finish)

FIELDS = (
    making.property_string("boot", "boot", SCHEMA),
    making.plain("bootdisk", "bootdisk", props.text),
)
DEFAULTS = {"boot": "cdn"}
