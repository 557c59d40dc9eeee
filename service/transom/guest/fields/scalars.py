"""Plain values: booleans and whole numbers with PVE's defaults, names and the like."""

from __future__ import annotations

import re

from transom.guest import field, props
from transom.guest.fields import making

# The defaults of qemu-server's schema. What it has no fixed default for (localtime, balloon, cpuunits …) is not here.
_BOOLEANS = {
    **dict.fromkeys(("onboot", "autostart", "numa", "keephugepages", "tdf", "template", "protection"), "0"),
    **dict.fromkeys(("reboot", "acpi", "kvm", "tablet", "allow-ksm", "ciupgrade"), "1"),
    "freeze": "0",
}
_LIVE = frozenset(
    {"onboot", "protection", "shares", "startup", "name", "migrate_downtime", "migrate_speed", "ciupgrade"}
)
_ROOT_BOOLEANS = frozenset({"keephugepages"})
_INTEGERS = ("sockets", "cores", "vcpus", "smp", "balloon", "shares", "cpuunits", "migrate_speed")

_FEATURES = "network,disk,usb"


def _features(value: str) -> frozenset[str]:
    """The hot-plug features; ``1`` is PVE's default set, ``0`` is none."""
    return frozenset(re.split(r"[,;\s]+", {"0": "", "1": _FEATURES}.get(value, value))) - {""}


_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T(\d{1,2}):(\d{1,2}):(\d{1,2}))?", re.ASCII)


def _date(value: str) -> tuple[int, ...] | str:
    """``2006-6-17`` and ``2006-06-17T00:00:00`` are one time."""
    match = _DATE.fullmatch(value)
    if match is None and value != "now":
        raise ValueError(f"{value!r} is neither now nor a date such as 2006-06-17T16:01:21")
    return tuple(int(part or 0) for part in match.groups()) if match else value


def _same_generation(wanted: str, observed: str) -> bool:
    # "1" has PVE make one, which then stands in its place.
    return wanted.lower() == observed.lower() or (wanted == "1" and observed != "0")


def _keep_generation(wanted: str, observed: str) -> str:
    return observed if _same_generation(wanted, observed) else wanted


FIELDS = (
    *(
        making.plain(
            key, key, props.boolean, route=making.root if key in _ROOT_BOOLEANS else making.api, live=key in _LIVE
        )
        for key in (*_BOOLEANS, "localtime")
    ),
    *(making.plain(key, key, props.integer, live=key in _LIVE) for key in _INTEGERS),
    *(making.plain(key, key, props.number, live=key in _LIVE) for key in ("cpulimit", "migrate_downtime")),
    making.plain("hotplug", "hotplug", _features),
    making.plain("name", "name", props.text, live=True),
    *(making.plain(key, key, props.text, route=making.root) for key in ("hugepages", "lock", "arch")),
    making.plain("affinity", "affinity", props.ranges(","), route=making.root),
    field.VmField("vmgenid", re.compile("vmgenid"), props.lower, _same_generation, _keep_generation, making.root),
    making.plain("startdate", "startdate", _date),
    making.plain("hookscript", "hookscript", props.text, route=making.root, live=True),
)
DEFAULTS = {
    **_BOOLEANS,
    "hotplug": _FEATURES,
    "sockets": "1",
    "cores": "1",
    "shares": "1000",
    "cpulimit": "0",
    "migrate_speed": "0",
    "migrate_downtime": "0.1",
    "startdate": "now",
    "vmgenid": "0",
}
