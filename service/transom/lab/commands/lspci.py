"""``lspci -n -k -D -s ADDRESS``: the devices in sysfs, numbers only, in the real command's layout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transom.lab import modules, world

DEVICES = Path("/sys/bus/pci/devices")


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="lspci", add_help=False)
    for flag in "nkDv":
        parser.add_argument(f"-{flag}", action="count", default=0)
    parser.add_argument("-s", default="")
    options = parser.parse_args()
    kernel = Path("/proc/sys/kernel/osrelease").read_text().strip()
    for folder in sorted(DEVICES.iterdir()):
        if folder.name.removeprefix("0000:").startswith(options.s.removeprefix("0000:")):
            print("\n".join(_lines(folder, kernel, bool(options.k), bool(options.D))))
    return 0


def _lines(folder: Path, kernel: str, drivers: bool, domain: bool) -> list[str]:
    def read(name: str) -> str:
        return (folder / name).read_text().strip().removeprefix("0x")

    device = world.PciFunction(folder.name, read("vendor"), read("device"), read("class"))
    address = folder.name if domain else folder.name.removeprefix("0000:")
    revision = "" if read("revision") == "00" else f" (rev {read('revision')})"
    lines = [f"{address} {device.class_code[:4]}: {device.id}{revision}"]
    subsystem = f"{read('subsystem_vendor')}:{read('subsystem_device')}"
    if subsystem != "0000:0000":
        lines.append(f"\tSubsystem: {subsystem}")
    if drivers and (folder / "driver").exists():
        lines.append(f"\tKernel driver in use: {(folder / 'driver').resolve().name}")
    able = [name for name, module in modules.catalogue(kernel).items() if module.claims_device(device)]
    if drivers and able:
        lines.append(f"\tKernel modules: {', '.join(able)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
