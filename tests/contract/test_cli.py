"""`qm` and `pvesh` against their recorded runs: exit code, output, and the file afterwards."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from transom.lab.pve import cli, install, world

BASE = "boot:  \ncpu: qemu64\nkvm: 0\nmachine: pc\nmemory: 64\nname: base\nvga: none\n"
RESTARTS = ("pvesh-set-root-only", "pvesh-set-args-quotes")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("TRANSOM_LAB_ROOT", str(tmp_path))

    def call(*argv: str) -> tuple[int, str, str]:
        code = cli.main(argv)
        out = capsys.readouterr()
        return code, out.out.rstrip("\n"), out.err.rstrip("\n")

    return call


def same(want: str, got: str) -> bool:
    """Equal but for UPIDs, and for the order of a JSON list that Perl shuffles."""
    want, got = (re.sub(r'UPID:[^"\n]*', "UPID", text.rstrip("\n")) for text in (want, got))
    if want == got or not want.startswith("["):
        return want == got
    return sorted(json.loads(want), key=str) == sorted(json.loads(got), key=str)


def test_recorded_runs(contract: Path, tmp_path: Path, run: Any) -> None:
    install.install(world.contract_world(contract / "world.json"), tmp_path, "pve1")
    config = tmp_path / "etc/pve/qemu-server/710.conf"
    config.write_text(BASE)
    wrong = {}
    for line in (contract / "cli.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["id"] in RESTARTS:
            config.write_text(BASE)
        if case["id"].endswith("locked"):
            config.write_text("\n".join(case["file_after"]) + "\n")
        code, out, err = run(*case["argv"])
        good = same(case["stdout"], out) and case["stderr"].rstrip("\n") == err and code == case["exit"]
        if not good or config.read_text().removesuffix("\n").split("\n") != case["file_after"]:
            wrong[case["id"]] = (code, out[-300:], err[-300:])
    assert not wrong


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    igpu = world.PciDevice("0000:00:02.0", "8086:9bc8", "030000", 1, driver="vfio-pci")
    install.install(world.lab_world(pci=(igpu,)), tmp_path, "pve1")
    return tmp_path


def test_create_start_and_stop(lab: Path, run: Any) -> None:
    made = run("qm", "create", "112", "--name", "Win11-iGD", "--memory", "8192", "--scsi0", "local-lvm:32,ssd=1",
               "--net0", "virtio,bridge=vmbr0", "--ostype", "win11")  # fmt: skip
    assert made[0] == 0, made
    assert "scsi0: successfully created disk 'local-lvm:vm-112-disk-0,size=32G,ssd=1'" in made[1]
    assert (lab / "var/lib/transom-lab/volumes/local-lvm/vm-112-disk-0").exists()
    assert run("qm", "start", "112") == (0, "", "")
    assert run("qm", "status", "112") == (0, "status: running", "")
    assert run("qm", "start", "112") == (255, "", "VM 112 already running")
    assert run("qm", "shutdown", "112") == (0, "", "")
    assert run("qm", "destroy", "112")[0] == 0
    assert not (lab / "var/lib/transom-lab/volumes/local-lvm/vm-112-disk-0").exists()


def test_showcmd_judges_the_start(run: Any, lab: Path) -> None:
    config = lab / "etc/pve/qemu-server/112.conf"
    config.write_text("hostpci0: 0000:00:02.0,legacy-igd=1,romfile=igd.rom\nvga: none\n")
    code, out, _ = run("qm", "showcmd", "112")
    assert code == 0
    assert "vfio-pci,host=0000:00:02.0,id=hostpci0,bus=pci.0,addr=0x2,romfile=/usr/share/kvm/igd.rom" in out
    config.write_text("hostpci0: 0000:00:02.0,legacy-igd=1\nvga: std\n")
    assert run("qm", "showcmd", "112") == (2, "", "legacy IGD assignment requires VGA mode to be 'none'")
    config.write_text("hostpci0: 0000:99:00.0\n")
    assert run("qm", "showcmd", "112") == (22, "", "no PCI device found for '0000:99:00.0'")


def test_pending_tells_old_and_new(run: Any, lab: Path) -> None:
    (lab / "etc/pve/qemu-server/112.conf").write_text("name: a\nonboot: 1\n\n[PENDING]\ndelete: onboot\nname: b\n")
    assert run("qm", "pending", "112") == (0, "cur name: a\nnew name: b\ndel onboot: 1", "")


def test_starts_light() -> None:
    """The tools are started once a change: nothing heavy may come with them."""
    import subprocess

    code = "import sys; import transom.lab.pve.qm; print([m for m in ('cryptography','ssl','http.server','yaml') " \
           "if m in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
