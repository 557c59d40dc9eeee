"""One device of several with the same id for vfio-pci, by its address: a script in the initramfs, before udev loads drivers.

Items are ``address=vendor:device``; derived, never written in a document. With ``driver_override`` set, no other driver takes the
device, whenever vfio-pci itself is loaded (Documentation/ABI/testing/sysfs-bus-pci). The script looks at the id first: after buses
were renumbered the address may be that of the root disk. initramfs-tools runs scripts without prerequisites in the order of their
names, so ``00-…`` comes before ``udev``; one that is not executable is left out.
"""

from __future__ import annotations

import re

from transom import errors, model
from transom.host import conditions, files, lines, setting

OWN = "/etc/initramfs-tools/scripts/init-top/00-transom-vfio"
_FOLDER = "/etc/initramfs-tools/scripts/init-top/*"
HEAD = f"""#!/bin/sh
{lines.HEADER}
# Runs in the initramfs before udev loads drivers: what is named below is left to vfio-pci, its twins are not.
[ "$1" != prereqs ] || exit 0

take() {{ # address, and the id that it had
    device=/sys/bus/pci/devices/$1
    [ -e "$device" ] || return 0
    read -r vendor <"$device/vendor" && read -r kind <"$device/device" || return 0
    [ "${{vendor#0x}}:${{kind#0x}}" = "$2" ] || return 0
    echo vfio-pci >"$device/driver_override"
}}

"""
_TAKE = re.compile(r"take ([0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ([0-9a-f]{4}:[0-9a-f]{4})\n?")


def places(text: str) -> tuple[tuple[str, int], ...]:
    """(item, line) of every device in our script."""
    found = ((_TAKE.fullmatch(line), number) for number, line in enumerate(lines.split(text), 1))
    return tuple((f"{match.group(1)}={match.group(2)}", number) for match, number in found if match)


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Our own script alone: what others' scripts do cannot be judged without running them."""
    listed = files.listed(facts, _FOLDER)
    if isinstance(listed, model.Unknown):
        return listed
    own = [file for file in listed if file.path == OWN]
    return tuple(setting.Item(item, OWN, line) for file in own for item, line in places(str(file.text)))


def clashes(_wants: tuple[str, ...], _items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """None: nobody else writes this file."""
    return ()


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line a device, behind the function that they call."""
    goes = {line for item, line in places(text) if item in owned - set(wanted)}
    physical = lines.split(text)
    kept = "".join(line for number, line in enumerate(physical, 1) if number not in goes)
    have = {item for item, _ in places(kept)}
    missing = [item for item in dict.fromkeys(wanted) if item not in have]
    if not missing:
        return "" if kept == HEAD else kept
    base = kept or HEAD
    return (
        base + ("" if base.endswith("\n") else "\n") + "".join(f"take {item.replace('=', ' ')}\n" for item in missing)
    )


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether the device is bound to vfio-pci; Unknown when there is no such device at that address."""
    address, _, id = item.partition("=")
    device = facts.device(address)
    if isinstance(device, model.Unknown):
        return device
    if device is None or device.id != id:
        return model.Unknown(f"{address} is not {id}")
    return device.driver if isinstance(device.driver, model.Unknown) else device.driver == "vfio-pci"


def release(text: str, line: int, item: str) -> str:
    """Never asked for: no other file is read."""
    del text
    raise errors.Void(f"line {line} does not give {item}")


SETTING = setting.HostSetting(
    key="driver_override",
    path=OWN,
    after=(model.Step.INITRAMFS,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("driver_override"),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
    mode=0o755,
)
