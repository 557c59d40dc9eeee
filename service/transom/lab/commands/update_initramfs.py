"""``update-initramfs -u -k all|VERSION``: builds the image of each kernel from the present files."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from transom.lab import machine

PAUSE = 0.3
"""Seconds that one image takes; a real one takes tens of seconds, and a progress display should have something to show."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="update-initramfs", add_help=False)
    parser.add_argument("-u", action="store_true")
    parser.add_argument("-c", action="store_true")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("-k", default="")
    options = parser.parse_args()
    if not options.u and not options.c:
        print("E: no mode specified, use -c, -u or -d", file=sys.stderr)
        return 1
    installed = sorted(path.name.removeprefix("vmlinuz-") for path in Path("/boot").glob("vmlinuz-*"))
    running = Path("/proc/sys/kernel/osrelease").read_text().strip()
    wanted = installed if options.k == "all" else [options.k or running]
    for kernel in wanted:
        if kernel not in installed:
            print(f"W: missing /lib/modules/{kernel}", file=sys.stderr)
            print(f"E: /boot/vmlinuz-{kernel} is not installed", file=sys.stderr)
            return 1
        print(f"update-initramfs: Generating /boot/initrd.img-{kernel}", flush=True)
        time.sleep(PAUSE)
        machine.write_initrd(Path("/"), kernel)
    if Path("/etc/kernel/proxmox-boot-uuids").exists():  # as the hook proxmox-boot-sync does
        return subprocess.run(["proxmox-boot-tool", "refresh"], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
