"""Whether the package system is at rest: nobody holds its lock (a POSIX lock, seen in /proc/locks), nothing is half done."""

from __future__ import annotations

import re

from transom.host import probe

COMMAND = r"""
for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
  [ -e "$lock" ] || continue
  inode=$(stat -c %i "$lock") || exit 3
  grep -q "POSIX .* WRITE .*:$inode " /proc/locks && printf 'lock %s\n' "$lock"
done
dpkg-query -W -f '${db:Status-Status} ${Package}\n' | grep -vE '^(installed|config-files|not-installed) ' | sed 's/^/state /'
exit 0
"""
_LINE = re.compile(r"lock (\S+)|state (\S+) (\S+)")


def parse(body: bytes) -> tuple[str, ...]:
    """What is not at rest, one line each. ValueError for a line that is none."""
    found: list[str] = []
    for line in body.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line[:80]!r} is no line of it")
        lock, state, package = match.groups()
        found.append(f"{lock} is held" if lock else f"{package} is {state}")
    return tuple(found)


PROBE = probe.Probe("dpkg", COMMAND, parse)
