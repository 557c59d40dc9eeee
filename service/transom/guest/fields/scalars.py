"""Plain values: booleans and whole numbers with PVE's defaults, names and the like."""

from __future__ import annotations

from transom.guest import props
from transom.guest.fields import making

# The defaults of qemu-server's schema. What it has no fixed default for (localtime, balloon, cpuunits …) is not here.
_BOOLEANS = {
    **dict.fromkeys(("onboot", "autostart", "numa", "keephugepages", "tdf", "template", "protection"), "0"),
    **dict.fromkeys(("reboot", "acpi", "kvm", "tablet", "allow-ksm", "ciupgrade"), "1"),
}
_LIVE = frozenset(
    {"onboot", "protection", "shares", "startup", "name", "migrate_downtime", "migrate_speed", "ciupgrade"}
)
_ROOT_BOOLEANS = frozenset({"keephugepages"})
_INTEGERS = ("sockets", "cores", "vcpus", "smp", "balloon", "shares", "cpuunits", "migrate_speed")

_FEATURES = "network,disk,usb"


def _features(value: str) -> frozenset[str]:
    """The hot-plug features; ``1`` is PVE's default set, ``0`` is none."""
    return frozenset({"0": "", "1": _FEATURES}.get(value, value).replace(";", ",").split(",")) - {""}


FIELDS = (
    *(
        making.plain(
            key, key, props.boolean, route=making.root if key in _ROOT_BOOLEANS else making.api, live=key in _LIVE
        )
        for key in (*_BOOLEANS, "localtime", "freeze")
    ),
    *(making.plain(key, key, props.integer, live=key in _LIVE) for key in _INTEGERS),
    *(making.plain(key, key, props.number, live=key in _LIVE) for key in ("cpulimit", "migrate_downtime")),
    making.plain("hotplug", "hotplug", _features),
    making.plain("name", "name", props.text, live=True),
    *(
        making.plain(key, key, props.text, route=making.root)
        for key in ("affinity", "hugepages", "lock", "arch", "vmgenid")
    ),
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
}
