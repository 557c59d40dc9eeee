"""``usbN``: ``host=046d:c07e``, a port ``1-1.4``, ``spice`` or a mapping. A raw device is root's (``check_usb_perm``)."""

from __future__ import annotations

import re

from transom.guest import field, props
from transom.guest.fields import making

_ID = re.compile(r"(?:0x)?([0-9a-f]{4}):(?:0x)?([0-9a-f]{4})")
_PORT = re.compile(r"\d+-\d+(\.\d+)*", re.ASCII)


def _host(value: str) -> str:
    lowered = value.lower()
    match = _ID.fullmatch(lowered)
    if match:
        return f"{match[1]}:{match[2]}"
    if lowered == "spice" or _PORT.fullmatch(lowered):
        return lowered
    raise ValueError(f"{value!r} is not vendor:product, a port such as 1-1.4, or spice")


SCHEMA = props.Schema(
    props={"host": props.Prop(_host), "mapping": props.Prop(), "usb3": props.Prop(props.boolean, "0")},
    default_key="host",
    needs=("host", "mapping"),
)


def _route(value: str) -> field.Route:
    try:
        host = props.split(SCHEMA, value).get("host", "spice")
    except ValueError:
        return field.Route.ROOT
    return field.Route.API if host.lower() == "spice" else field.Route.ROOT


# Hot-plugged for ostype l26 and Windows above 7 with machine >= 7.1; PVE leaves it pending otherwise.
FIELDS = (making.property_string("usb", r"usb\d+", SCHEMA, route=_route),)
