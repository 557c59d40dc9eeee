"""Modules that are loaded or built into the running kernel, and what uses those that are loaded."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import module_names, probe

COMMAND = r"""
IFS= read -r kernel </proc/sys/kernel/osrelease || exit 3
sed 's/^\([^ ]*\) [^ ]* \([^ ]*\) \([^ ]*\) .*/\1 \2 \3/' /proc/modules || exit 3
builtin=/lib/modules/$kernel/modules.builtin
[ ! -r "$builtin" ] || sed 's|.*/||; s|[.]ko$||' "$builtin"
"""


@dataclasses.dataclass(frozen=True)
class Modules:
    """``names``: all of them; ``loaded``: those that are not built in."""

    names: frozenset[str]
    loaded: dict[str, model.LoadedModule]


def parse(body: bytes) -> Modules:
    """A line each: a loaded one's name, uses and users (``nvme_core 5 nvme,``; ``-`` for none), a built-in one's name. ValueError
    for any other."""
    loaded: dict[str, model.LoadedModule] = {}
    names: set[str] = set()
    for line in filter(None, body.decode("ascii", "replace").split("\n")):
        name, *rest = line.split(" ")
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"{name[:80]!r} is no module")
        names.add(module_names.normal(name))
        if rest:
            loaded[module_names.normal(name)] = _loaded(line, rest)
    return Modules(frozenset(names), loaded)


def _loaded(line: str, rest: list[str]) -> model.LoadedModule:
    if len(rest) != 2:
        raise ValueError(f"{line[:80]!r} is no line of /proc/modules")
    # [permanent] stands among the users of a module that cannot be unloaded (print_unload_info).
    users = [user for user in rest[1].split(",") if user not in ("", "-", "[permanent]")]
    # A kernel that cannot unload modules says "-": taken for in use.
    return model.LoadedModule(int(rest[0].replace("-", "1")), tuple(map(module_names.normal, users)))


PROBE = probe.Probe("modules", COMMAND, parse)
