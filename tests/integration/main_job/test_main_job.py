"""The main job on a lab node, whole: declare, see, plan, apply, verify, undo; and what comes in between."""

from __future__ import annotations

import pathlib
import shlex
import stat
import subprocess

import pytest

from transom import errors, resources
from transom.guest import conf
from transom.plan import actions as acts
from transom.plan import emptying, guest_actions, rehearsal

EXAMPLES = sorted(resources.examples_dir().glob("*.yaml"))
SEED_FINAL = {
    "agent": "1",
    "args": "-set device.hostpci0.addr=02.0 -set device.hostpci0.x-igd-gms=0x2 -set device.hostpci0.x-igd-opregion=on",
    "boot": "order=scsi0;net0",  # of the article's order=scsi0;ide2;net0;ide0 the drives that are there
    "cores": "6",
    "cpu": "host",
    "machine": "pc-i440fx-7.1",
    "memory": "8192",
    "name": "Win11-iGD",
    "net0": "virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1",
    "numa": "1",
    "ostype": "win11",
    "scsi0": "local-lvm:vm-112-disk-0,iothread=1,size=32G,ssd=1",
    "scsihw": "virtio-scsi-single",
    "sockets": "1",
    "usb0": "host=046d:c07e",
    "usb1": "host=04d9:0295",
    "vga": "none",
}
OURS = {"tags", "description"}
SERVER_MADE = {"meta", "smbios1", "vmgenid"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_settles_and_comes_off_to_the_byte(bench, example):
    before = bench.files()
    run = bench.apply(bench.lab.stage(example))
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"
    bench.undo(run)
    assert bench.files() == before
    assert bench.driver() == "i915"


def test_the_seeds_machine_is_the_articles(bench):
    bench.apply(bench.seed)
    parsed = conf.parse(bench.text("/etc/pve/qemu-server/112.conf"))
    assert not parsed.has_pending
    values = dict(parsed.main)
    hostpci = values.pop("hostpci0")
    name = hostpci.rpartition("romfile=")[2]
    assert hostpci == f"0000:00:02.0,legacy-igd=1,romfile={name}"
    assert (bench.node.root / "usr/share/kvm" / name).read_bytes() == (bench.seed.parent / "igd.rom").read_bytes()
    assert {key: value for key, value in values.items() if key not in OURS | SERVER_MADE} == SEED_FINAL
    assert set(values) - set(SEED_FINAL) <= OURS | SERVER_MADE
    cmdline = bench.node.ssh("cat /proc/cmdline").split()
    assert cmdline[-5:] == [
        "quiet",
        "intel_iommu=on",
        "iommu=pt",
        "pcie_acs_override=downstream,multifunction",
        "initcall_blacklist=sysfb_init",
    ]
    modules = bench.node.ssh("cat /proc/modules")
    for module in ("vfio ", "vfio_iommu_type1 ", "vfio_pci ", "vfio_virqfd "):
        assert module in modules


def test_the_root_only_keys_never_went_through_the_api(bench):
    bench.apply(bench.seed)
    done = bench.node.ssh("cat /var/log/pve/tasks/* 2>/dev/null || true")
    assert "args" not in done
    assert any("create VM 112" in line for line in bench.said)


def test_as_shell_is_what_a_person_would_type(bench):
    done = bench.transom("plan", "-f", str(bench.seed), "--as-shell")
    assert done.returncode == 0, done.stderr
    forward, back = done.stdout.split("# --- The way back")
    before = bench.files()
    (copy,) = [line.removeprefix("#   ") for line in forward.splitlines() if line.startswith("#   scp ")]
    source, target = shlex.split(copy)[-2:]
    assert f"-P {bench.node.ssh_port}" in copy
    (bench.node.root / target.partition(":")[2].lstrip("/")).write_bytes(pathlib.Path(source).read_bytes())
    head, first, second = forward.split("\n# --- Part ")
    assert all(line.startswith("#") for line in head.splitlines())
    boots = bench.node.boots
    bench.node.ssh(first.partition("\n")[2].removesuffix("reboot\n"))
    bench.node.ssh("systemctl reboot")
    bench.node.wait_boot(boots)
    bench.node.ssh(second.partition("\n")[2])
    service = bench.service()
    service.put([bench.seed])
    plan = service.propose(service.wish("pve1"))
    service.close()
    assert plan.empty, (plan.drifts, plan.gates)
    undo = "\n".join(line.removeprefix("# ") for line in back.splitlines()[1:])
    bench.node.ssh("set -e\n" + undo.removesuffix("reboot"))
    assert bench.files() == before


def test_a_plan_whose_facts_have_changed_is_void(bench):
    service = bench.service()
    service.put([bench.seed])
    node = service.wish("pve1")
    plan = service.propose(node)
    (bench.node.root / "etc/modprobe.d/mine.conf").write_text("options vfio-pci ids=8086:9bc8\n")
    before = bench.files()
    with pytest.raises(errors.Void, match="approved was"):
        service.apply(node, approved=plan.hash)
    service.close()
    assert bench.files() == before


def test_apply_asks_and_without_a_terminal_refuses(bench):
    before = bench.files()
    done = bench.transom("apply", "-f", str(bench.seed))
    assert done.returncode == 64
    assert "--yes" in done.stderr
    assert bench.files() == before


def test_a_contradiction_holds_and_take_over_settles_it_with_undo(bench):
    grub = bench.node.root / "etc/default/grub"
    grub.write_text(grub.read_text().replace('"quiet"', '"quiet intel_iommu=off"'))
    bench.node.ssh("update-grub")
    before = bench.files()
    done = bench.transom("apply", "-f", str(bench.seed), "--yes")
    assert done.returncode == 3
    assert "foreign-contradiction" in done.stdout
    assert "/etc/default/grub:9" in done.stdout
    assert bench.files() == before
    run = bench.apply(take_over=True)
    assert "# transom took over:" in grub.read_text()
    assert bench.plan().empty
    bench.undo(run)
    assert bench.files() == before


def test_a_line_taken_out_of_the_document_is_removed_again(bench):
    bench.apply(bench.seed)
    own = "/etc/modprobe.d/zz-transom.conf"
    assert "blacklist snd_hda_intel" in bench.text(own)
    bench.seed.write_text(bench.seed.read_text().replace("      - snd_hda_intel\n", ""))
    bench.apply(bench.seed)
    assert "snd_hda_intel" not in bench.text(own)
    assert "blacklist i915" in bench.text(own)
    assert bench.plan().empty


def test_a_second_writer_on_the_node_is_told_to_wait(bench):
    service, other = bench.service(), bench.service()
    service.put([bench.seed])
    node = service.wish("pve1")
    plan = service.propose(node)
    with service._turn(node), pytest.raises(errors.Busy):
        other.apply(node, approved=plan.hash)
    service.close()
    other.close()


def test_secrets_are_nowhere_but_where_they_were_put(bench):
    done = bench.transom("apply", "-f", str(bench.seed), "--yes")
    assert done.returncode == 0, done.stderr
    secret = bench.lab.token_file("home").read_text().strip()
    key = bench.lab.client_key.read_text()
    places = [path for path in bench.state.rglob("*") if path.is_file()]
    assert places
    for path in places:
        assert secret.encode() not in path.read_bytes(), path
        assert key.encode() not in path.read_bytes(), path
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize("content", [b"something else", None])
def test_a_wrong_or_missing_rom_holds_before_anything_is_touched(bench, content):
    before = bench.files()
    rom = bench.seed.parent / "igd.rom"
    rom.unlink() if content is None else rom.write_bytes(content)
    done = bench.transom("plan", "-f", str(bench.seed))
    assert done.returncode == 3
    assert "rom-source" in done.stdout
    assert bench.files() == before


def test_a_vm_of_somebody_else_with_our_id_is_left_alone(bench):
    path = bench.node.root / "etc/pve/qemu-server/112.conf"
    path.write_text("memory: 512\nname: router\n")
    plan_before = path.read_bytes()
    done = bench.transom("apply", "-f", str(bench.seed), "--yes")
    assert done.returncode == 3
    assert "vm-not-ours" in done.stdout
    assert path.read_bytes() == plan_before


def test_undo_refuses_what_somebody_changed_since(bench):
    run = bench.apply(bench.seed)
    path = bench.node.root / "etc/modprobe.d/zz-transom.conf"
    path.write_text(path.read_text() + "blacklist nouveau\n")
    before = bench.files()
    done = bench.transom("undo", run, "--yes")
    assert done.returncode == 3
    assert str(pathlib.PurePosixPath("/etc/modprobe.d/zz-transom.conf")) in done.stdout
    assert bench.files() == before


def test_a_dead_node_is_69_and_a_wrong_host_key_77(bench):
    text = bench.seed.read_text()
    bench.node.power_cut()
    assert bench.transom("plan", "-f", str(bench.seed)).returncode == 69
    bench.node.power_on()
    other = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(bench.folder / "other")],
        check=True,
        capture_output=True,
    )
    assert other.returncode == 0
    key = " ".join((bench.folder / "other.pub").read_text().split()[:2])
    bench.seed.write_text(text.replace(bench.node.host_key, key))
    done = bench.transom("plan", "-f", str(bench.seed))
    assert done.returncode == 77
    assert "SHA256:" in done.stdout


def test_runs_are_listed_and_shown_step_by_step(bench):
    run = bench.apply(bench.seed)
    rows = bench.json("run", "ls")
    assert [(row["id"], row["state"]) for row in rows] == [(run, "applied")]
    shown = bench.json("run", "show", run)
    phases = [(event["step"], event["phase"]) for event in shown["events"]]
    whole = [one for one in phases if one[1] in {"before", "after"}]
    steps = len({step for step, _ in whole})
    assert whole == [(step, phase) for step in range(1, steps + 1) for phase in ("before", "after")]
    # the VM is made by a task of PVE's, which is journalled before it is waited for
    assert [phase for step, phase in phases if step == steps][1] == "task"
    assert bench.json("node", "ls")[0]["name"] == "pve1"
    facts = bench.json("node", "show", "pve1")
    assert facts["hardware"]["board"].startswith("ASRock")
    last = facts["last_good"]
    assert last["since"] == pytest.approx(rows[0]["ended_at"], abs=60), (
        "what a run has made is good, with or without a daemon"
    )
    assert ("P1.60" in last["fingerprint"]["bios"], last["differs"]) == (True, [])
    (bench.node.root / "etc/modprobe.d/zzz-gpu.conf").write_text("blacklist nouveau\n")
    told = bench.transom("node", "show", "pve1").stdout
    assert "  ≠ /etc/modprobe.d/zzz-gpu.conf is new\n" in told
    assert "    driver of igpu at 0000:00:02.0 vfio-pci\n" in told


def test_actions_come_in_an_order_that_can_work(bench):
    service = bench.service()
    service.put([bench.seed])
    plan = service.propose(service.wish("pve1"))
    service.close()
    kinds = [type(action) for action in plan.actions]
    assert kinds == [
        *(rehearsal.Simulate, acts.KeepBoot, acts.ArmRollback),
        *(*[acts.WriteFile] * 3, *[acts.RunStep] * 2, acts.PlaceRom),
        *(emptying.Drain, acts.Reboot, acts.Confirm, emptying.Undrain),
        guest_actions.CreateGuest,
    ]
