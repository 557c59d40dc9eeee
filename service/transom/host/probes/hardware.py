"""Board, BIOS, CPU, and whether the firmware gave a DMAR table."""

from __future__ import annotations

from transom import model
from transom.host import attributes, probe

COMMAND = """
cd /sys/class/dmi/id && grep -sHZ . board_vendor board_name bios_vendor bios_version bios_date
printf 'model\\0'; grep -m1 '^model name' /proc/cpuinfo || printf '\\n'
if [ -d /sys/firmware/acpi/tables ]; then
  [ -e /sys/firmware/acpi/tables/DMAR ] && printf 'dmar\\0001\\n' || printf 'dmar\\0000\\n'
fi
exit 0
"""


def parse(body: bytes) -> model.Hardware:
    """``board``: vendor and name; ``bios``: vendor, version and date."""
    given = attributes.parse(body)
    dmar = given.get("dmar")
    return model.Hardware(
        board=_joined(given, "board_vendor", "board_name"),
        bios=_joined(given, "bios_vendor", "bios_version", "bios_date"),
        cpu=given.get("model", "").partition(":")[2].strip() or model.Unknown("no model name in /proc/cpuinfo"),
        dmar=model.Unknown("no /sys/firmware/acpi/tables") if dmar is None else dmar == "1",
    )


def unknown(reason: str) -> model.Hardware:
    """Hardware of which nothing is known."""
    why = model.Unknown(reason)
    return model.Hardware(why, why, why, why)


def _joined(given: dict[str, str], *names: str) -> str | model.Unknown:
    values = [given[name].strip() for name in names if given.get(name, "").strip()]
    return " ".join(values) if values else model.Unknown("no /sys/class/dmi/id")


PROBE = probe.Probe("hardware", COMMAND, parse)
