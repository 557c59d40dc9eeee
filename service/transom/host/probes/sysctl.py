"""What /proc/sys shows for the keys in our own file of sysctl.d."""

from __future__ import annotations

from transom.host import probe

COMMAND = r"""
own=/etc/sysctl.d/zz-transom.conf
[ -e "$own" ] || exit 0
keys=$(sed -n 's/^[[:space:]]*-\{0,1\}[[:space:]]*\([A-Za-z0-9_][^=[:space:]]*\)[[:space:]]*=.*/\1/p' "$own") || exit 3
for key in $keys; do
  path=/proc/sys/$(printf %s "$key" | tr ./ /.)
  [ -r "$path" ] && printf '%s=%s\n' "$key" "$(tr '\n\t' '  ' <"$path")"
done
exit 0
"""


def parse(body: bytes) -> dict[str, str]:
    """Key with dots → value, single blanks between its words. ValueError for a line that is none."""
    found: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines():
        key, mark, value = line.partition("=")
        if not mark:
            raise ValueError(f"{line[:80]!r} is no setting")
        found[key] = " ".join(value.split())
    return found


PROBE = probe.Probe("sysctl", COMMAND, parse)
