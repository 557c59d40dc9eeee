"""What Transom left on the node about itself: steps that are due, the boot it waits to end, the ledger's mirror, and whether the
node waits for a confirmation or has gone back by itself."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import probe

COMMAND = """
[ -d /run/transom-trial ] && echo trial=1
cd /var/lib/transom 2>/dev/null || { [ ! -e /var/lib/transom ] && exit 0; exit 3; }
for path in dirty/*; do [ -e "$path" ] && printf 'dirty=%s\\n' "${path#dirty/}"; done
[ -f reboot-from ] && { boot=$(cat reboot-from) || exit 3; printf 'reboot_from=%s\\n' "$boot"; } # empty: left so by a loss of power
[ -f ledger.json ] && { printf 'ledger='; sha256sum <ledger.json || exit 3; }
[ -f rollback/armed ] && { IFS= read -r armed <rollback/armed || exit 3; printf 'armed=%s\\n' "$armed"; }
[ -f rollback/rolled-back ] || {
    for path in rollback/*/; do
        [ -d "$path" ] && [ ! -f "$path/onboot" ] && [ ! -f rollback/armed ] && [ ! -f rollback/rolling ] || continue
        path=${path%/} && printf 'unarmed=%s\\n' "${path##*/}"
    done
    exit 0
}
sed -n 's/^./rolled-&/p' rollback/rolled-back
run=$(sed -n 's/^run=//p' rollback/rolled-back)
tail -n 20 "rollback/$run/journal" | cut -c 1-300 | sed 's/^/log=/'
exit 0
"""


def parse(body: bytes) -> model.Keeping:
    """ValueError for a step that is not known: a newer Transom has been here."""
    dirty: list[model.Step] = []
    reboot_from = ledger = ""
    trial = False
    unarmed: list[str] = []
    armed, back = None, _Back()
    for line in filter(None, body.decode("utf-8", "replace").split("\n")):
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
            case "armed":
                armed = armed_by(value)
            case "unarmed":
                unarmed.append(value)
            case "log":
                back.log.append(value)
            case "rolled-problem":
                back.problems.append(value)
            case _ if name.startswith("rolled-"):
                back.fields[name.removeprefix("rolled-")] = value
            case _:
                raise ValueError(f"{line[:80]!r} is no line of it")
    steps = tuple(step for step in model.Step if step in dirty)
    return model.Keeping(steps, reboot_from, ledger, trial, armed, back.read(), tuple(unarmed))


@dataclasses.dataclass
class _Back:
    """What the node says of having gone back, as it comes."""

    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    log: list[str] = dataclasses.field(default_factory=list)

    def read(self) -> model.RolledBack | None:
        if not self.fields:
            return None
        given = self.fields
        if not given.keys() >= {"run", "at", "boot", "reason"}:
            raise ValueError("rollback/rolled-back is not complete")
        log, problems = tuple(self.log), tuple(self.problems)
        return model.RolledBack(given["run"], int(given["at"]), given["boot"], given["reason"], problems, log)


def armed_by(value: str) -> model.Armed:
    """The mark of an armed node. ValueError for anything else."""
    words = value.split()
    if len(words) != 3:
        raise ValueError(f"rollback/armed holds {value[:80]!r}")
    return model.Armed(words[0], words[1], int(words[2]))


PROBE = probe.Probe("keeping", COMMAND, parse)
