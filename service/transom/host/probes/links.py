"""What the host is reached by: the PCI devices of the interface towards Transom and of corosync, through bridge, bond and VLAN.

The way towards Transom is the route to the other end of this very SSH connection. sysfs shows what an interface stands on as
``lower_*``; an Open vSwitch bridge shows it only at ``ovs-system``, whose members all count then.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from transom import model
from transom.host import probe

COMMAND = r"""
set -- ${SSH_CONNECTION:-}
case ${1:-} in
'') ip -o route show default ;;
*%*) ip -o route get "${1%%\%*}" dev "${1#*%}" ;; # an address of the link itself names its interface
*) ip -o route get "$1" ;;
esac | sed 's/^/route /'
ip -o addr show | awk '{ print "addr " $2 " " $4 }'
find /sys/class/net -maxdepth 1 -type l -printf 'link %f %l\n'
find /sys/class/net/*/ -maxdepth 1 -name 'lower_*' -printf 'lower %p\n'
[ -f /etc/pve/corosync.conf ] || exit 0
for name in $(sed -n 's/^[[:space:]]*ring[0-9]*_addr:[[:space:]]*//p' /etc/pve/corosync.conf); do
  printf 'ring %s\n' "$name"
  getent ahosts "$name" | awk '{ print "ring " $1 }'
done
exit 0
"""
_DEV = re.compile(r"\bdev (\S+)")
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_LOWER = re.compile(r"/sys/class/net/([^/]+)/+lower_(.+)")


@dataclasses.dataclass
class _Seen:
    """What the lines say, while they are read."""

    routes: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    addresses: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    lowers: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    rings: set[str] = dataclasses.field(default_factory=set)


def parse(body: bytes) -> tuple[model.Vital, ...]:
    """One an interface and what it is for. ValueError when the way towards Transom, or what it stands on, cannot be told."""
    seen = _read(body.decode("utf-8", "replace").splitlines())
    if not seen.routes:
        raise ValueError("no route towards Transom")
    found = [_vital("the way to Transom", dev, says, seen) for dev, says in seen.routes if dev != "lo"]
    rings = [(dev, address) for dev, address in seen.addresses if address in seen.rings]
    if seen.rings and not rings:
        raise ValueError("no address of corosync.conf is on this host")
    found += [_vital("a link of corosync", dev, f"{dev} {address}", seen) for dev, address in rings if dev != "lo"]
    return tuple(dict.fromkeys(found))


def _read(lines: Iterable[str]) -> _Seen:
    seen = _Seen()
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "route" and (dev := _DEV.search(rest)):
            seen.routes.append((dev.group(1), " ".join(rest.split())))
        elif kind == "addr":
            name, _, address = rest.partition(" ")
            seen.addresses.append((name.partition("@")[0], address.partition("/")[0]))
        elif kind == "link":
            name, _, path = rest.partition(" ")
            seen.links[name] = path
        elif kind == "lower" and (lower := _LOWER.fullmatch(rest)):
            seen.lowers.setdefault(lower.group(1), []).append(lower.group(2))
        elif kind == "ring":
            seen.rings.add(rest)
        elif line:
            raise ValueError(f"{line[:80]!r} is no line of it")
    return seen


def _vital(what: str, dev: str, says: str, seen: _Seen) -> model.Vital:
    ports = _ports(dev, seen) or _ports("ovs-system", seen)
    if not ports and "/virtual/" in seen.links.get(dev, "/virtual/"):
        raise ValueError(f"what {dev} stands on cannot be told")
    return model.Vital(
        what, tuple(sorted(ports)), "ip route get" if what.startswith("the way") else "/etc/pve/corosync.conf", says
    )


def _ports(dev: str, seen: _Seen) -> set[str]:
    """PCI functions below an interface."""
    found: set[str] = set()
    left, done = [dev], set()
    while left:
        one = left.pop()
        if one in done:
            continue
        done.add(one)
        found.update(_PCI.findall(seen.links.get(one, "")))
        left += seen.lowers.get(one, [])
    return found


PROBE = probe.Probe("links", COMMAND, parse)
