"""Modules that are loaded or built into the running kernel."""

from __future__ import annotations

from transom.host import module_names, probe

COMMAND = """
IFS= read -r kernel </proc/sys/kernel/osrelease || exit 3
sed -n 's/ .*//p' /proc/modules || exit 3
builtin=/lib/modules/$kernel/modules.builtin
[ ! -r "$builtin" ] || sed 's|.*/||; s|[.]ko$||' "$builtin"
"""


def parse(body: bytes) -> frozenset[str]:
    """One name a line. ValueError for a line that is no name."""
    names = body.decode("ascii", "replace").split("\n")
    wrong = [name for name in names if name and not name.replace("-", "").replace("_", "").isalnum()]
    if wrong:
        raise ValueError(f"{wrong[0][:80]!r} is no module")
    return frozenset(module_names.normal(name) for name in names if name)


PROBE = probe.Probe("modules", COMMAND, parse)
