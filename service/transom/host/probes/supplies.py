"""What a VM may be given of the host beside PCI devices: CPUs, huge pages, serial and parallel ports."""

from __future__ import annotations

from transom import model
from transom.host import probe

# PVE counts the processors of /proc/cpuinfo (PVE::ProcFSTools::read_cpuinfo).
COMMAND = """
while read -r key _; do [ "$key" = processor ] && echo cpu; done </proc/cpuinfo
for path in /sys/kernel/mm/hugepages/hugepages-*kB; do [ -d "$path" ] && echo "pages ${path##*-}"; done
for path in /dev/tty[A-Z]* /dev/serial/by-*/* /dev/parport* /dev/usb/lp*; do [ -c "$path" ] && echo "port $path"; done
exit 0
"""


def parse(body: bytes) -> model.Supplies:
    """ValueError when there is no CPU."""
    lines = body.decode("utf-8", "replace").splitlines()
    cpus = lines.count("cpu")
    if not cpus:
        raise ValueError("no processor in /proc/cpuinfo")
    pages = [line.removeprefix("pages ").removesuffix("kB") for line in lines if line.startswith("pages ")]
    return model.Supplies(
        cpus,
        frozenset(int(size) // 1024 for size in pages if size.isdecimal()),
        frozenset(line.removeprefix("port ") for line in lines if line.startswith("port ")),
    )


PROBE = probe.Probe("supplies", COMMAND, parse)
