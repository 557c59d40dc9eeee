"""A ROM built here is dispatched by real firmware: OVMF in QEMU, from a PCI device's ROM BAR; broken ones are not.

Needs Debian's ``qemu-system-x86`` and ``ovmf``; without KVM a run takes about 10 s. Proves that the firmware loads and starts the
driver, not that it binds to a GPU.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys

import pytest

from patience import until

OVMF = pathlib.Path("/usr/share/OVMF")
CODE, VARS = OVMF / "OVMF_CODE_4M.fd", OVMF / "OVMF_VARS_4M.fd"
# pci-testdev's own ids
DEVICE = "1b36:0005"
SCRIPT = "dh -p LoadedImage\r\necho DHDONE\r\ndrivers\r\nreset -s\r\n"
FAULT = "Invalid Opcode"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not shutil.which("qemu-system-x86_64") or not CODE.exists(), reason="needs qemu-system-x86 and ovmf"
    ),
]


def transom(*arguments: str) -> subprocess.CompletedProcess[str]:
    entry = [sys.executable, "-c", "from transom.cli import main; main.main()", "rom"]
    return subprocess.run([*entry, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def rom(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """OVMF's own video driver, taken out of its volumes and wrapped for the test device."""
    out = tmp_path_factory.mktemp("rom") / "video.rom"
    done = transom("build", str(CODE), "--driver", "QemuVideoDxe", "--device", DEVICE, "-o", str(out))
    assert done.returncode == 0, done.stderr
    checked = transom("verify", str(out), "--device", DEVICE, "--firmware", "ovmf")
    assert checked.returncode == 0, checked.stdout
    return out.read_bytes()


def boot(rom: bytes, folder: pathlib.Path, *, tries: int = 2) -> str:
    """Boot OVMF to its shell with the ROM on a device at 00:05.0; gives what the script printed, without control codes."""
    shutil.copy(VARS, folder / "vars.fd")
    (folder / "esp").mkdir()
    (folder / "esp" / "startup.nsh").write_bytes(SCRIPT.encode())
    (folder / "x.rom").write_bytes(rom)
    argv = [
        *("qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", "512"),
        *("-display", "none", "-vga", "none", "-net", "none", "-monitor", "none", "-serial", "file:ser.log"),
        *("-drive", f"if=pflash,format=raw,readonly=on,file={CODE}", "-drive", "if=pflash,format=raw,file=vars.fd"),
        *("-drive", "format=raw,file=fat:rw:esp", "-device", "pci-testdev,romfile=x.rom,addr=5"),
    ]
    for _ in range(tries):
        if came_to_its_end(argv, folder):
            break
    log = (folder / "ser.log").read_bytes().decode("latin-1")
    return re.sub(r"\x1b\[[=0-9;?]*[A-Za-z]|[\r\x00]", "", log)


def came_to_its_end(argv: list[str], folder: pathlib.Path) -> bool:
    """By its script or a fault; about one run in thirty hangs."""
    log = folder / "ser.log"
    log.unlink(missing_ok=True)
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as machine:
        try:
            until(lambda: machine.poll() is not None or (log.exists() and FAULT.encode() in log.read_bytes()))
        except AssertionError:
            return False
        finally:
            machine.kill()
        said = machine.communicate()[1]
    assert machine.returncode in (0, -signal.SIGKILL), said
    return True


def dispatched(shown: str) -> bool:
    """Loaded from the ROM and started: a handle with its place in the ROM, and a driver binding on it."""
    assert "DHDONE" in shown, shown[-2000:]
    lines = [line for line in shown.rsplit("DHDONE", 1)[0].splitlines() if "(0x5,0x0)/Offset(" in line]
    return any("DriverBinding" in line for line in lines)


def video_drivers(shown: str) -> int:
    return shown.rsplit("DHDONE", 1)[1].count("QEMU Video Driver")


def test_ovmf_dispatches_what_was_built(rom: bytes, tmp_path: pathlib.Path) -> None:
    shown = boot(rom, tmp_path)
    assert dispatched(shown)
    assert video_drivers(shown) == 2


def test_ovmf_dispatches_it_compressed(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "packed.rom"
    done = transom("build", str(CODE), "--driver", "QemuVideoDxe", "--device", DEVICE, "--compress", "-o", str(out))
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    run.mkdir()
    assert dispatched(boot(out.read_bytes(), run))


@pytest.mark.parametrize("fault", ["signature", "efi signature", "pe", "truncated"])
def test_ovmf_does_not_start_broken_ones_and_verify_knows(rom: bytes, tmp_path: pathlib.Path, fault: str) -> None:
    bent = bytearray(rom)
    body = struct.unpack_from("<H", rom, 0x16)[0]
    match fault:
        case "signature":
            bent[0] = 0x54
        case "efi signature":
            bent[4] = 0
        case "pe":
            bent[body : body + 2] = b"XX"
        case _:
            del bent[len(bent) // 2 // 512 * 512 :]
    (tmp_path / "bent.rom").write_bytes(bent)
    assert transom("verify", str(tmp_path / "bent.rom"), "--device", DEVICE).returncode == 1
    run = tmp_path / "run"
    run.mkdir()
    shown = boot(bytes(bent), run)
    assert not dispatched(shown)
    assert video_drivers(shown) == 1


def pe_fault(rom: bytes, fault: str) -> bytes:
    """The ROM with one field of its driver's PE32+ headers changed; all else, checksums included, stays right."""
    header = (body := struct.unpack_from("<H", rom, 0x16)[0]) + struct.unpack_from("<I", rom, body + 0x3C)[0]
    section = header + 24 + struct.unpack_from("<H", rom, header + 20)[0]
    at, value = {
        "no sections": (header + 6, b"\0\0"),
        "entry point 0": (header + 24 + 16, bytes(4)),
        "SectionAlignment 0": (header + 24 + 32, bytes(4)),
        "SizeOfImage 0": (header + 24 + 56, bytes(4)),
        "SizeOfImage 0x1000": (header + 24 + 56, b"\0\x10\0\0"),
        "relocations beyond the image": (header + 24 + 112 + 40, b"\0\0\0\x70"),
        "section beyond the image": (section + 12, b"\0\0\0\x70"),
    }[fault]
    return rom[:at] + value + rom[at + len(value) :]


@pytest.mark.parametrize(
    "fault",
    [
        "no sections",
        "SectionAlignment 0",
        "SizeOfImage 0",
        "SizeOfImage 0x1000",
        "relocations beyond the image",
        "section beyond the image",
    ],
)
def test_ovmf_does_not_load_what_verify_calls_unloadable(rom: bytes, tmp_path: pathlib.Path, fault: str) -> None:
    refused_by_verify(pe_fault(rom, fault), tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    shown = boot(pe_fault(rom, fault), run)
    assert not dispatched(shown)
    assert video_drivers(shown) == 1


def test_an_entry_point_of_0_kills_the_firmware(rom: bytes, tmp_path: pathlib.Path) -> None:
    refused_by_verify(pe_fault(rom, "entry point 0"), tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    shown = boot(pe_fault(rom, "entry point 0"), run)
    assert FAULT in shown
    assert "DHDONE" not in shown


def refused_by_verify(bent: bytes, folder: pathlib.Path) -> None:
    (folder / "bent.rom").write_bytes(bent)
    told = transom("verify", str(folder / "bent.rom"), "--device", DEVICE)
    assert told.returncode == 1
    assert "firmware does not start it" in told.stdout


def test_ia32_is_loaded_but_never_started(tmp_path: pathlib.Path) -> None:
    ia32 = pathlib.Path(__file__).parents[1] / "golden" / "rom" / "efirom" / "ia32.efi"
    out = tmp_path / "ia32.rom"
    assert transom("build", str(ia32), "--device", DEVICE, "-o", str(out)).returncode == 0
    assert transom("verify", str(out), "--device", DEVICE, "--firmware", "ovmf").returncode == 1
    run = tmp_path / "run"
    run.mkdir()
    assert not dispatched(boot(out.read_bytes(), run))
