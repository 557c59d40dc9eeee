"""What PVE takes a key for that is not in a configuration; for some it hangs on the other keys (qemu-server 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from transom.guest import props, registry

Values = Mapping[str, str]

_SPICE_OR_SERIAL = re.compile(r"(?:type=)?(?:qxl[2-4]?|serial\d)", re.ASCII)
_WINDOWS = re.compile(r"wxp|w2k3?|w2k8|wvista|win\d+", re.ASCII)
_OLD_WINDOWS = frozenset({"wxp", "w2k", "w2k3"})


def meaning(key: str, values: Values) -> str | None:
    """The value of ``key`` in a configuration ``values`` that has none; None when nothing is known."""
    rule = _RULES.get(key)
    return rule(values) if rule else registry.DEFAULTS.get(key)


def _arm(values: Values) -> bool:
    return values.get("arch") == "aarch64"


def _cpu(values: Values) -> str:
    try:
        emulated = props.boolean(values.get("kvm", "1")) == "0"
    except ValueError:
        emulated = False
    if _arm(values):
        return "max" if emulated else "host"
    return "qemu64" if emulated else "kvm64"


def _sockets(values: Values) -> str:
    """The old ``smp`` counted sockets."""
    return values.get("smp", "1")


def _tablet(values: Values) -> str:
    """Left out where SPICE or a serial terminal makes it needless."""
    return "0" if any(map(_SPICE_OR_SERIAL.fullmatch, values.get("vga", "").split(","))) else "1"


def _vga(values: Values) -> str:
    if _arm(values):
        return "virtio"
    return "cirrus" if values.get("ostype") in _OLD_WINDOWS else "std"


def _localtime(values: Values) -> str:
    return "1" if _WINDOWS.fullmatch(values.get("ostype", "")) else "0"


def _machine(values: Values) -> str:
    return "virt" if _arm(values) else "pc"


_RULES: Mapping[str, Callable[[Values], str]] = {
    "cpu": _cpu,
    "localtime": _localtime,
    "machine": _machine,
    "sockets": _sockets,
    "tablet": _tablet,
    "vga": _vga,
}
