"""Firmware and ROMs that others made, where Debian's packages for them are installed: ovmf, ipxe-qemu, seabios, uefitool-cli."""

from __future__ import annotations

import hashlib
import pathlib
import shutil
import subprocess

import pytest

from transom import errors
from transom.sandbox import run

OVMF = [pathlib.Path("/usr/share/OVMF") / name for name in ("OVMF_CODE_4M.fd", "OVMF_CODE.secboot.fd")]
IPXE = sorted(pathlib.Path("/usr/lib/ipxe/qemu").glob("*.rom"))
VGABIOS = [pathlib.Path("/usr/share/seabios") / f"vgabios-{name}.bin" for name in ("stdvga", "virtio", "qxl", "cirrus")]
UEFIEXTRACT = shutil.which("UEFIExtract") or shutil.which("uefiextract")

needs_ovmf = pytest.mark.skipif(not OVMF[0].exists(), reason="needs ovmf")


@needs_ovmf
@pytest.mark.parametrize("path", OVMF, ids=lambda path: path.name)
def test_ovmf_is_read_in_full_and_has_no_gop(path: pathlib.Path) -> None:
    found = run.run("inspect", (run.Input(path),)).result
    assert found["kind"] == "firmware"
    assert found["whole"]
    assert found["problems"] == found["gop"] == found["vbt"] == []
    assert "QemuVideoDxe" in {driver["name"] for driver in found["drivers"]}
    options = {"vendor": 0x8086, "devices": [0x9BC8]}
    with pytest.raises(errors.RomError, match="no Intel GOP driver here"):
        run.run("build", (run.Input(path),), more={"options": options, "driver": ""})


@needs_ovmf
@pytest.mark.skipif(not UEFIEXTRACT, reason="needs uefitool-cli")
@pytest.mark.parametrize("path", OVMF, ids=lambda path: path.name)
def test_the_same_drivers_as_uefiextract(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copy(path, tmp_path / "x.fd")
    subprocess.run([str(UEFIEXTRACT), "x.fd", "all"], cwd=tmp_path, capture_output=True, check=True)
    theirs = {
        hashlib.sha256(body.read_bytes()).hexdigest()
        for body in tmp_path.rglob("body.bin")
        if body.parent.name.endswith(("PE32 image section", "TE image section"))
    }
    ours = {driver["sha256"] for driver in run.run("inspect", (run.Input(path),)).result["drivers"]}
    assert len(theirs) > 100
    assert ours == theirs


@pytest.mark.skipif(not IPXE, reason="needs ipxe-qemu")
@pytest.mark.parametrize("path", IPXE, ids=lambda path: path.name)
def test_ipxe_roms_are_good(path: pathlib.Path) -> None:
    report = run.run("verify", (run.Input(path),)).result
    assert report["good"], report["problems"]
    kinds = [image["code_type"] for image in report["images"]]
    assert kinds == (["legacy", "EFI"] if path.name.startswith("efi-") else ["legacy"])
    assert report["firmware"]["seabios"]["verdict"] == "works"


@pytest.mark.skipif(not VGABIOS[0].exists(), reason="needs seabios")
@pytest.mark.parametrize("path", VGABIOS, ids=lambda path: path.name)
def test_vgabios_is_good(path: pathlib.Path) -> None:
    report = run.run("verify", (run.Input(path),)).result
    assert report["good"], report["problems"]
    assert report["images"][0]["class_code"] == "030000"
