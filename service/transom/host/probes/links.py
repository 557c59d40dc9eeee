"""What the host is reached by: the PCI devices of the interface towards Transom and of corosync, through bridge, bond and VLAN.

The way towards Transom is the route to the other end of this very SSH connection. sysfs shows what an interface stands on as
``lower_*``; an Open vSwitch bridge shows it only at ``ovs-system``, whose members all count then. A tunnel (WireGuard,
Tailscale) or a bridge without a port stands on nothing there: it is taken to lead through the default route. The host that
Transom itself runs on is reached by ``lo``: there the default route and the interfaces with its own addresses count.
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
{ ip -o route show default; ip -o -6 route show default; } | sed 's/^/default /'
getent ahosts "$(uname -n)" | awk '{ print "own " $1 }'
ip -o addr show | awk '{ print "addr " $2 " " $4 }'
find /sys/class/net -maxdepth 1 -type l -printf 'link %f %l\n'
find /sys/class/net/*/ -maxdepth 1 -name 'lower_*' -printf 'lower %p\n'
[ -f /etc/pve/corosync.conf ] || exit 0
for name in $(sed -n 's/^[[:space:]]*ring[0-9]*_addr:[[:space:]]*//p' /etc/pve/corosync.conf); do
  printf 'ring %s\n' "$name"
  getent ahosts "$name" | awk '{ print $1 }' | sort -u | while read -r address; do
    printf 'ring %s\n' "$address"
    ip -o route get "$address" | sed 's/^/peer /'
  done
done
exit 0
"""
_DEV = re.compile(r"\bdev (\S+)")
_PCI = re.compile(probe.PCI_FUNCTION)
_LOCAL = re.compile(r"local (\S+) ")
_LOWER = re.compile(r"/sys/class/net/([^/]+)/+lower_(.+)")


@dataclasses.dataclass
class _Seen:
    """What the lines say, while they are read."""

    routes: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """(interface, the line): towards Transom."""
    defaults: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    peers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """Towards the addresses of corosync.conf."""
    own: set[str] = dataclasses.field(default_factory=set)
    """Addresses of the host's own name."""
    addresses: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    lowers: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    rings: set[str] = dataclasses.field(default_factory=set)


def parse(body: bytes) -> tuple[model.Vital, ...]:
    """One an interface and what it is for. ValueError when the way towards Transom, or what it stands on, cannot be told."""
    seen = _read(body.decode("utf-8", "replace").splitlines())
    if not seen.routes:
        raise ValueError("no route towards Transom")
    found = [one for dev, says in seen.routes for one in _vital("the way to Transom", dev, says, seen)]
    rings = [(dev, address) for dev, address in seen.addresses if address in seen.rings]
    if seen.rings and not rings:
        raise ValueError("no address of corosync.conf is on this host")
    ways = [(dev, f"{dev} {address}") for dev, address in rings if dev != "lo"]
    if len(ways) < len(rings):  # an address that others route to, by whichever interface they are reached
        ways += [(dev, says) for dev, says in seen.peers if dev != "lo"]
    found += [one for dev, says in ways for one in _vital("a link of corosync", dev, says, seen)]
    return tuple(dict.fromkeys(found))


def _read(lines: Iterable[str]) -> _Seen:
    seen = _Seen()
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind in ("route", "default", "peer"):
            routes = {"route": seen.routes, "default": seen.defaults, "peer": seen.peers}[kind]
            routes += [(dev, " ".join(rest.split())) for dev in _DEV.findall(rest)]
        elif kind == "addr":
            name, _, address = rest.partition(" ")
            seen.addresses.append((name.partition("@")[0], address.partition("/")[0]))
        elif kind == "link":
            name, _, path = rest.partition(" ")
            seen.links[name] = path
        elif kind == "lower" and (lower := _LOWER.fullmatch(rest)):
            seen.lowers.setdefault(lower.group(1), []).append(lower.group(2))
        elif kind in ("ring", "own"):
            (seen.rings if kind == "ring" else seen.own).add(rest)
        elif line:
            raise ValueError(f"{line[:80]!r} is no line of it")
    return seen


def _vital(what: str, dev: str, says: str, seen: _Seen) -> list[model.Vital]:
    """Of the interface; where it stands on nothing itself, of all that it may lead through."""
    source = "ip route get" if what.startswith("the way") else "/etc/pve/corosync.conf"
    ports = _ports(dev, seen)
    if ports or not _virtual(dev, seen):
        return [model.Vital(what, tuple(sorted(ports)), source, says)]
    found = [
        model.Vital(what, tuple(sorted(below)), source, f"{says}; {line}" if line else says)
        for name, line in _around(dev, says, seen)
        if (below := _ports(name, seen) or _members(name, seen)) or not _virtual(name, seen)
    ]
    if not found:
        raise ValueError(f"what {dev} stands on cannot be told")
    return found


def _around(dev: str, says: str, seen: _Seen) -> list[tuple[str, str]]:
    """(interface, the line that says so) of what a virtual interface may lead through."""
    if dev != "lo":
        return [(dev, ""), *seen.defaults]
    own = seen.own | set(_LOCAL.findall(f"{says} "))
    return seen.defaults + [(name, f"{name} {address}") for name, address in seen.addresses if address in own]


def _virtual(dev: str, seen: _Seen) -> bool:
    """Hardware off the PCI bus is not."""
    return "/virtual/" in seen.links.get(dev, "/virtual/")


def _members(dev: str, seen: _Seen) -> set[str]:
    """Below every Open vSwitch bridge, one of which the interface may be."""
    return _ports("ovs-system", seen) if dev != "lo" else set()


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
