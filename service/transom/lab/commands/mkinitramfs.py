"""``mkinitramfs -o FILE [VERSION]``: builds one image from the present files, wherever it is asked for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from transom.lab import machine


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="mkinitramfs", add_help=False)
    parser.add_argument("-o", dest="out", required=True)
    parser.add_argument("kernel", nargs="?", default="")
    options = parser.parse_args()
    kernel = options.kernel or Path("/proc/sys/kernel/osrelease").read_text().strip()
    if not Path(f"/usr/lib/modules/{kernel}").is_dir():
        print(f"E: /lib/modules/{kernel} is missing", file=sys.stderr)
        return 1
    machine.write_initrd(Path("/"), kernel, target=Path(options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
