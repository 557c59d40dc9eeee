"""A container uses ``/dev/dri`` or ``/dev/nvidia*``, and the display device or driver behind it is to be taken from the host."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

from transom import model
from transom.diagnose import blacklists, rule, taken, view
from transom.host import derive, module_names, probe

RULE = rule.Rule(
    id="lxc-uses-dri",
    scope=rule.Scope.NODE,
    needs=("/etc/pve/lxc", "/sys/bus/pci/devices", "/sys/class/drm"),
    who=model.Who.REFUSE,
    remedy="{remedy}",
    holds=True,
    safety=True,
    when=rule.When.HOST,
)
_GONE = "Take {what} out of {named}, or leave the host its graphics: one of both can have them."
_SHARED = (
    "If {named} can do with the display that stays, say so: accept: [lxc-uses-dri] in the Node document. Look at the numbers in "
    "/dev/dri after the reboot."
)
_LINE = re.compile(r"^[ \t]*(?:dev[0-9]+|lxc\.\S+|mp[0-9]+)[ \t]*[:=](.*)$", re.M)
_DRI = re.compile(r"dev/dri(?:/(?P<node>[^\s,]+))?|\bc 226:(?P<minor>\S+)")
_NVIDIA = re.compile(r"dev/nvidia|\bc 195:")
_NUMBERED = re.compile(r"(card|renderD)([0-9]+)")
_RENDER = 128
"""Minor of the first render node (drivers/gpu/drm/drm_drv.c, ``drm_minor_alloc``)."""


@dataclasses.dataclass(frozen=True)
class _Displays:
    """Those that the host has a driver for: what goes, what stays; and the node → address of this boot."""

    going: tuple[model.PciDevice, ...]
    staying: tuple[model.PciDevice, ...]
    nodes: Mapping[str, str]


def judge(host: view.Host) -> rule.Verdict:
    shown = _displays(host)
    if isinstance(shown, model.Unknown):
        return rule.cannot_tell(shown.unknown)
    containers = host.facts.standing.containers
    if not shown.going:
        return rule.clear()
    if isinstance(containers, model.Unknown):
        return rule.cannot_tell(f"containers: {containers.unknown}")
    unread = next((text for text in containers.values() if isinstance(text, model.Unknown)), None)
    if unread is not None:
        return rule.cannot_tell(f"containers: {unread.unknown}")
    lines = [(id, *one) for id, text in containers.items() for one in _lines(_present(str(text)), shown)]
    lost = [(id, line) for id, line, loses in lines if loses]
    if lost:
        return _found(lost, shown, holds=True)
    return _found([(id, line) for id, line, _ in lines], shown, holds=False) if lines else rule.clear()


def _found(lines: list[tuple[int, str]], shown: _Displays, *, holds: bool) -> rule.Verdict:
    first = dict(reversed(lines))
    named = ", ".join(f"CT {id}" for id in sorted(first))
    what = "/dev/nvidia*" if all(_NVIDIA.search(line) for line in first.values()) else "/dev/dri"
    going = ", ".join(one.address for one in shown.going)
    goes, part = f"which goes with {going}", f"of which {going} goes; what stays may be numbered anew"
    return rule.found(
        f"{named} use {what}, {goes if holds else part}",
        [model.Evidence(f"/etc/pve/lxc/{id}.conf", line) for id, line in sorted(first.items())],
        holds=None if holds else False,
        remedy=(_GONE if holds else _SHARED).format(what=what, named=named),
    )


def _present(text: str) -> str:
    """Without snapshots."""
    return re.split(r"^\[", text, maxsplit=1, flags=re.M)[0]


def _lines(text: str, shown: _Displays) -> Iterator[tuple[str, bool]]:
    """(line, whether what it names goes for certain or for all that is known) of the lines that something of goes."""
    for match in _LINE.finditer(text):
        loses = _loses(match.group(1), shown)
        if loses is not None:
            yield match.group().strip(), loses


def _loses(value: str, shown: _Displays) -> bool | None:
    """None: nothing of what the line names goes; False: another display stays behind it."""
    if _NVIDIA.search(value):
        going, staying = (any(map(_by_nvidia, some)) for some in (shown.going, shown.staying))
        return not staying if going else None
    named = _DRI.search(value)
    if named is None:
        return None
    node = _node(named)
    if not node:
        rendering = {address for name, address in shown.nodes.items() if name.startswith("renderD")}
        return not any(one.address in rendering for one in shown.staying)
    return _goes(node, shown)


def _by_nvidia(device: model.PciDevice) -> bool:
    return device.vendor == "10de" and (isinstance(device.driver, model.Unknown) or device.driver == "nvidia")


def _node(named: re.Match[str]) -> str:
    """``renderD128``, ``by-path/pci-0000:01:00.0-render``; empty for all of them."""
    minor = named["minor"] or ""
    if minor.isdecimal():
        return f"card{minor}" if int(minor) < _RENDER else f"renderD{minor}"
    return named["node"] or ""


def _goes(node: str, shown: _Displays) -> bool | None:
    """As ``_loses``, of one node; False for one that may get another number: each kind is numbered from the lowest free one on."""
    going = {one.address for one in shown.going}
    if by_path := re.search(probe.PCI_FUNCTION, node):
        return True if by_path.group() in going else None
    if shown.nodes.get(node) is None or shown.nodes[node] in going:
        return True
    return False if any(of in going and _before(other, node) for other, of in shown.nodes.items()) else None


def _before(one: str, other: str) -> bool:
    """Whether both are nodes of one kind, in this order."""
    first, second = _NUMBERED.fullmatch(one), _NUMBERED.fullmatch(other)
    return first is not None and second is not None and first[1] == second[1] and int(first[2]) < int(second[2])


def _displays(host: view.Host) -> _Displays | model.Unknown:
    """Unknown where it cannot be told which device is meant to go."""
    going: dict[str, model.PciDevice] = {}
    for device in taken.of(host):
        if isinstance(device.there, model.Unknown):
            return device.there
        if device.there and _in_use(device.there):
            going[device.there.address] = device.there
    pci, drm = host.facts.pci, host.facts.standing.drm
    drivers = blacklists.wanted(host).keys() & derive.DISPLAY_DRIVERS
    if isinstance(pci, model.Unknown):
        return pci if drivers else _Displays(tuple(going.values()), (), {})
    going |= {one.address: one for one in pci if module_names.normal(one.driver_name) in drivers}
    staying = tuple(one for one in pci if _in_use(one) and one.address not in going)
    return _Displays(tuple(going.values()), staying, {} if isinstance(drm, model.Unknown) else drm)


def _in_use(device: model.PciDevice) -> bool:
    return device.class_code.startswith("03") and device.driver not in view.HOST_DRIVERS_NONE
