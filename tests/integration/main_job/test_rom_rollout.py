"""A Rom document that is built: other firmware rolls out and back on a lab node, the sandbox and all."""

from __future__ import annotations

import re

from transom import resources
from transom.guest import conf
from transom.lab import synthetic_rom

FIRMWARE = "B460M-Steel-Legend-2.10.zip"
KVM = "usr/share/kvm"


def roms(bench) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (bench.node.root / KVM).glob("igd-*.rom")}


def romfile(bench) -> str:
    (path,) = (bench.node.root / "etc/pve/qemu-server").glob("*.conf")
    return re.findall(r"romfile=(.*)", conf.parse(path.read_text()).main["hostpci0"])[0]


def content(bench) -> dict[str, str]:
    """Without modes: those of /etc/pve are not kept."""
    return {path: sha256 for path, (sha256, _) in bench.files().items()}


def kinds(bench) -> list[str]:
    return [action.kind for action in bench.plan().actions]


def test_new_firmware_rolls_out_and_comes_back_to_the_byte(bench):
    documents = bench.lab.stage(resources.examples_dir() / "rom-from-bios.yaml")
    firmware = documents.parent / FIRMWARE
    bench.apply(documents)
    assert bench.plan().empty
    before, first = content(bench), roms(bench)
    assert first == {romfile(bench): synthetic_rom.igd_rom()}

    driver = firmware.read_bytes()
    firmware.write_bytes(driver[:-1] + bytes([driver[-1] ^ 1]))  # the vendor's next version
    assert kinds(bench) == ["place-rom", "change-guest", "remove-rom"]
    run = bench.apply()
    second = roms(bench)
    assert bench.plan().empty
    assert list(second) == [romfile(bench)]
    assert second.keys().isdisjoint(first)

    bench.undo(run)
    assert content(bench) == before
    assert roms(bench) == first
    assert any("building the ROM" in line for line in bench.said)

    firmware.write_bytes(b"no firmware at all")
    plan = bench.plan()
    assert {finding.id for finding in plan.findings if finding.holds} == {"rom-failed"}
    assert plan.actions == ()
    assert roms(bench) == first

    firmware.write_bytes(driver)
    assert bench.plan().empty


def test_what_a_running_qemu_was_started_with_is_seen(bench):
    documents = bench.lab.stage(resources.examples_dir() / "rom-from-bios.yaml")
    bench.apply(documents)
    old = romfile(bench)
    (vmid,) = [path.stem for path in (bench.node.root / "etc/pve/qemu-server").glob("*.conf")]
    bench.node.ssh(f"qm start {vmid}")
    assert (
        bench.node.ssh(f"tr '\\0' '\\n' </proc/$(cat /run/qemu-server/{vmid}.pid)/cmdline | grep -c romfile=").strip()
        == "1"
    )
    bench.node.ssh(
        f"sed -i 's/,romfile=[^,]*//' /etc/pve/qemu-server/{vmid}.conf"
    )  # the file says so, the QEMU still runs with it
    service = bench.service()
    try:
        facts = service.facts(service.wish("pve1"))
    finally:
        service.close()
    assert facts.rom_users == {old: (int(vmid),)}
