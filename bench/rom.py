"""Measures the ROM worker, sandbox included, beside UEFIExtract (Debian's ``uefitool-cli``), in one run.

Inputs are made from Debian's ``ovmf``: a 16 MiB flash image of nested volumes with a synthetic GOP driver behind two layers of
LZMA, a 1 MiB LZMA bomb, a bare driver. Prints the median wall time, and CPU time and peak memory of all processes
together; exit 1 when a limit is missed.

    python bench/rom.py [--runs 5]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import lzma
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import types

HERE = pathlib.Path(__file__).parent
OVMF = pathlib.Path("/usr/share/OVMF")
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds, and MiB of all processes."""

    wall: float
    cpu: float
    memory: float
    code: int


@dataclasses.dataclass(frozen=True)
class Limit:
    """What must hold, and whether it does."""

    text: str
    held: bool


def composer() -> types.ModuleType:
    """The maker of test firmware, shared with the tests."""
    place = HERE.parent / "tests" / "unit" / "rom" / "compose.py"
    spec = importlib.util.spec_from_file_location("compose", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flash_image(make: types.ModuleType) -> bytes:
    """16 MiB: descriptor, four real OVMF volumes, and the GOP inside LZMA inside LZMA."""
    gop = make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912), fill=random.Random(7).randbytes(70_000))
    inner = make.volume(make.file(make.joined(make.section(0x10, gop), make.ui("IntelGopDriver"))))
    middle = make.volume(make.file(make.guided(make.LZMA, make.lzma_alone(make.section(0x17, inner))), kind=0xB))
    outer = make.volume(make.file(make.guided(make.LZMA, make.lzma_alone(make.section(0x17, middle))), kind=0xB))
    real = b"".join(
        (OVMF / name).read_bytes() for name in ("OVMF_CODE_4M.fd", "OVMF_CODE_4M.secboot.fd", "OVMF_CODE.fd")
    )
    bios = (outer + real + (OVMF / "OVMF_CODE.secboot.fd").read_bytes()).rjust(13 * MIB, b"\xff")
    return bytes(make.flash(bios, size=16 * MIB))


def bomb(make: types.ModuleType) -> bytes:
    """About 1 MiB that expands to gigabytes: one stream of zeros, announced as what it is."""
    size = 7 << 30
    chain = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 16}]
    packer, out = lzma.LZMACompressor(format=lzma.FORMAT_ALONE, filters=chain), bytearray()
    while len(out) < MIB - 4096:
        out += packer.compress(bytes(64 * MIB))
    stream = bytes(out[:5]) + struct.pack("<Q", size) + bytes(out[13:])
    return bytes(make.volume(make.file(make.guided(make.LZMA, stream), kind=0xB)))


def timed(argv: list[str], folder: pathlib.Path) -> tuple[float, int]:
    """Wall time and exit code of one run that nothing watches."""
    started = time.monotonic()
    done = subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started, done.returncode


def watched(argv: list[str], folder: pathlib.Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of one run: the sums over all its processes, as /proc last showed them, for bubblewrap does
    not hand up its children's."""
    seen: dict[int, tuple[float, float]] = {}
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for pid in under(process.pid):
                with contextlib.suppress(OSError, IndexError, ValueError):
                    seen[pid] = usage(pid)
            time.sleep(0.004)
    return sum(cpu for cpu, _ in seen.values()), sum(peak for _, peak in seen.values())


def under(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += map(int, pathlib.Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def usage(pid: int) -> tuple[float, float]:
    """CPU seconds so far, and peak memory in MiB."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak


def measure(name: str, argv: list[str], folder: pathlib.Path, runs: int) -> Cost:
    def clean() -> None:
        for dump in folder.glob("*.dump"):
            shutil.rmtree(dump)

    walls = []
    for _ in range(runs):
        clean()
        walls.append(timed(argv, folder))
    clean()
    cost = Cost(statistics.median(wall for wall, _ in walls), *watched(argv, folder), walls[-1][1])
    print(f"{name:42} {cost.wall:7.3f} s wall {cost.cpu:7.3f} s CPU {cost.memory:7.1f} MiB  exit {cost.code}")
    return cost


def make_inputs(folder: pathlib.Path) -> None:
    """In a process of its own: what this one ever held would count as its children's memory."""
    make = composer()
    (folder / "flash.bin").write_bytes(flash_image(make))
    (folder / "bomb.bin").write_bytes(bomb(make))
    (folder / "driver.efi").write_bytes(
        make.gop((0x9BC8, 0x9BC5, 0x3E92, 0x1912), fill=random.Random(9).randbytes(72_000))
    )


def run(folder: pathlib.Path, runs: int) -> list[Limit]:
    subprocess.run([sys.executable, __file__, "--make", str(folder)], check=True)
    script = shutil.which("transom")
    transom = [script] if script else [sys.executable, "-c", "from transom.cli import main; main.main()"]
    wrap = [*transom, "rom", "build", "--device", "8086:9bc8", "-o", "out.rom"]
    inspect = measure("inspect, 16 MiB of nested volumes", [*transom, "rom", "inspect", "flash.bin"], folder, runs)
    built = measure("build, from the same", [*wrap, "flash.bin"], folder, runs)
    bare = measure("build, from a bare .efi", [*wrap, "driver.efi"], folder, runs)
    packed = measure("build, compressed", [*wrap, "--compress", "driver.efi"], folder, runs)
    refused = measure("inspect, 1 MiB LZMA bomb", [*transom, "rom", "inspect", "bomb.bin"], folder, runs)
    limits = [
        Limit("inspect and build under 200 MiB", max(inspect.memory, built.memory) < 200),
        Limit("inspect and build succeed", inspect.code == built.code == bare.code == packed.code == 0),
        Limit("a bare .efi is wrapped in under 0.3 s", bare.wall < 0.3),
        Limit(
            "the bomb is refused in under 2 s and 256 MiB",
            refused.code == 1 and refused.wall < 2 and refused.memory < 256,
        ),
    ]
    peer = shutil.which("uefiextract") or shutil.which("UEFIExtract")
    if not peer:
        print("no UEFIExtract here: apt install uefitool-cli, then run again to compare")
        return limits
    extract = measure("UEFIExtract, the same 16 MiB, everything", [peer, "flash.bin", "all"], folder, runs)
    slowest = max(inspect.wall, built.wall)
    return [
        *limits,
        Limit(f"no slower than UEFIExtract ({slowest:.2f} s, {extract.wall:.2f} s)", slowest <= extract.wall),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--make", type=pathlib.Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.make:
        make_inputs(chosen.make)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        limits = run(pathlib.Path(folder), chosen.runs)
    for limit in limits:
        print(f"{'held' if limit.held else 'MISSED':6} {limit.text}")
    return 0 if all(limit.held for limit in limits) else 1


if __name__ == "__main__":
    raise SystemExit(main())
