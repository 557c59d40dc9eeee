"""``modprobe -c`` (the merged configuration) and ``modprobe -n -v NAME`` (what loading would do); loads nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transom.lab import kmod, machine, modules


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="modprobe", add_help=False)
    parser.add_argument("-c", "--showconfig", action="store_true")
    parser.add_argument("-n", "-D", "--dry-run", "--show", "--show-depends", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args()
    config = kmod.parse(machine.read_disk(Path("/")).modprobe, Path("/proc/cmdline").read_text())
    if options.showconfig:
        print("\n".join(kmod.render(config)))
        return 0
    if not options.dry_run:
        print("modprobe: ERROR: this machine loads modules at boot only", file=sys.stderr)
        return 1
    return _dry_run(config, kmod.normal(options.name))


def _dry_run(config: kmod.Config, name: str) -> int:
    kernel = Path("/proc/sys/kernel/osrelease").read_text().strip()
    catalogue = modules.catalogue(kernel)
    if name not in catalogue:
        print(f"modprobe: FATAL: Module {name} not found in directory /lib/modules/{kernel}", file=sys.stderr)
        return 1
    print("\n".join(_inserts(config, catalogue, name, kernel, set())))
    return 0


def _inserts(
    config: kmod.Config, catalogue: dict[str, modules.Module], name: str, kernel: str, seen: set[str]
) -> list[str]:
    if name in seen or name not in catalogue:
        return []
    seen.add(name)
    lines: list[str] = []
    for other in (*config.pre(name), *catalogue[name].needs):
        lines += _inserts(config, catalogue, other, kernel, seen)
    words = " ".join(words for module, words in config.options if module == name)
    return [*lines, f"insmod /lib/modules/{kernel}/kernel/{name}.ko {words}"]


if __name__ == "__main__":
    sys.exit(main())
