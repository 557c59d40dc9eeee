"""What /proc/sys shows for the keys in our own file of sysctl.d, and what it showed right after that was last set in this boot."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from transom.host import probe
from transom.host.settings import sysctl

_SHOW = r"""
own=/etc/sysctl.d/zz-transom.conf at=/run/transom-sysctl
show() {
  keys=$(sed -n 's/^[[:space:]]*-\{0,1\}[[:space:]]*\([A-Za-z0-9_][^=[:space:]]*\)[[:space:]]*=.*/\1/p' "$own") || return 3
  for key in $keys; do
    path=/proc/sys/$(printf %s "$key" | tr ./ /.)
    [ -r "$path" ] && printf '%s=%s\n' "$key" "$(tr '\n\t' '  ' <"$path")"
  done
  return 0
}
"""
COMMAND = f"""{_SHOW}
[ -e "$own" ] || exit 0
show || exit 3
for part in asked shown; do [ ! -f "$at/$part" ] || {{ sed "s/^/$part /" "$at/$part" && echo; }} || exit 3; done
"""
MARK = f"""{_SHOW}
[ -e "$own" ] || {{ rm -rf "$at"; exit; }}
mkdir -p "$at" && rm -f "$at/asked" && show >"$at/shown" && cp "$own" "$at/asked"
"""
"""Run right after the file was set. /run is empty after a boot."""


@dataclasses.dataclass(frozen=True)
class Sysctl:
    """``now``: key with dots → value, single blanks between its words. ``set``: item that was set → what was shown then."""

    now: dict[str, str]
    set: dict[str, str]


def parse(body: bytes) -> Sysctl:
    """ValueError for a line that is none."""
    now: list[str] = []
    asked: list[str] = []
    then: list[str] = []
    for line in filter(None, body.decode("utf-8", "replace").split("\n")):
        if line.startswith("asked "):
            asked.append(line.removeprefix("asked "))
        elif line.startswith("shown "):
            then.append(line.removeprefix("shown "))
        else:
            now.append(line)
    shown: Mapping[str, str] = _values(then)
    items = {item: shown.get(sysctl.key(item)) for item in sysctl.given("\n".join(asked))}
    return Sysctl(_values(now), {item: value for item, value in items.items() if value is not None})


def _values(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        item = sysctl.normal(line)
        if "=" not in line:
            raise ValueError(f"{line[:80]!r} is no setting")
        found[sysctl.key(item)] = item.partition("=")[2]
    return found


PROBE = probe.Probe("sysctl", COMMAND, parse)
