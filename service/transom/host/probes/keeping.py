"""What Transom left on the node about itself: steps that are due, the boot it waits to end, the ledger's mirror."""

from __future__ import annotations

from transom import model
from transom.host import probe

COMMAND = """
[ -d /run/transom-trial ] && echo trial=1
cd /var/lib/transom 2>/dev/null || { [ ! -e /var/lib/transom ] && exit 0; exit 3; }
for path in dirty/*; do [ -e "$path" ] && printf 'dirty=%s\\n' "${path#dirty/}"; done
[ -f reboot-from ] && { IFS= read -r boot <reboot-from || exit 3; printf 'reboot_from=%s\\n' "$boot"; }
[ -f ledger.json ] && { printf 'ledger='; sha256sum <ledger.json || exit 3; }
exit 0
"""


def parse(body: bytes) -> model.Keeping:
    """ValueError for a step that is not known: a newer Transom has been here."""
    dirty: list[model.Step] = []
    reboot_from = ledger = ""
    trial = False
    for line in body.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        match name:
            case "trial":
                trial = True
            case "dirty":
                dirty.append(model.Step(value))
            case "reboot_from":
                reboot_from = value.strip()
            case "ledger":
                ledger = value.split()[0]
            case _:
                raise ValueError(f"{line[:80]!r} is no line of it")
    return model.Keeping(tuple(step for step in model.Step if step in dirty), reboot_from, ledger, trial)


PROBE = probe.Probe("keeping", COMMAND, parse)
