"""A node without SSH: VMs made, changed, kept and taken back by the API alone, and nothing of anybody else's lost."""

from __future__ import annotations

import dataclasses

import pytest

from transom import errors, model
from transom.guest import conf
from transom.reconcile.steps import guest

HAND_MADE = """# Made by hand: 50% of it\\n
#second line
agent: 1
args: -cpu 'host,+kvm_pv_eoi'
balloon: 0
boot: order=scsi0;net0
cores: 2
keyboard: de
hookscript: local:snippets/hook.pl
hostpci0: 0000:00:02.0,legacy-igd=1,romfile=mine.rom
memory: 2048
meta: creation-qemu=9.0.2,ctime=1700000000
name: win
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1
onboot: 1
parent: before
scsi0: local-lvm:vm-101-disk-0,size=32G,ssd=1
smbios1: uuid=0f5e6a52-0000-4000-8000-000000000001
unused0: local-lvm:vm-101-disk-9
vga: none
vmgenid: 0f5e6a52-0000-4000-8000-000000000002

[before]
#a snapshot
cores: 1
memory: 512
snaptime: 1700000001
"""


def test_a_vm_is_made_changed_and_kept_and_each_second_plan_is_empty(bench):
    bench.put("  hardware: {name: win, memory: 4096, cores: 4, network: {net0: {model: virtio, bridge: vmbr0}}}\n")
    bench.apply()
    assert bench.values()["memory"] == "4096"
    assert bench.values()["net0"].startswith("virtio=")
    assert bench.plan().empty
    mac = bench.values()["net0"]

    bench.put(
        "  hardware: {name: win, memory: 8192, cores: 4, network: {net0: {model: virtio, bridge: vmbr0, firewall: true}}}\n"
    )
    assert [drift.path for drift in bench.plan().drifts] == ["qemu/101/memory", "qemu/101/net0"]
    bench.apply()
    assert bench.values()["memory"] == "8192"
    assert bench.values()["net0"] == f"{mac},firewall=1"  # the MAC stays
    assert bench.plan().empty

    bench.set(memory="1024", cores="1")  # somebody else's hand
    assert [drift.path for drift in bench.plan().drifts] == ["qemu/101/cores", "qemu/101/memory"]
    bench.apply()
    assert bench.values()["memory"] == "8192"
    assert bench.plan().empty


def test_no_key_of_a_hand_made_vm_is_lost(bench):
    bench.write(HAND_MADE)
    bench.put("  hardware: {memory: 4096}\n")
    assert [finding.id for finding in bench.plan().findings if finding.holds] == ["vm-not-ours"]
    bench.apply(take_over=True)
    before, after = conf.parse(HAND_MADE), conf.parse(bench.text())
    assert after.others == before.others
    changed = {key for key in {*before.main, *after.main} if before.main.get(key) != after.main.get(key)}
    assert changed == {"memory", "tags"}
    assert after.description == f"{before.description}\n\ntransom: win"
    assert bench.plan().empty


def test_what_root_only_keys_say_already_needs_nobody(bench):
    bench.write(HAND_MADE)
    raw = "args: \"-cpu 'host,+kvm_pv_eoi'\", hostpci0: 'host=00:02.0,legacy-igd=1,romfile=mine.rom'"
    bench.put(f"  hardware: {{memory: 4096}}\n  raw: {{{raw}}}\n")
    bench.apply(take_over=True)
    assert bench.values()["args"] == "-cpu 'host,+kvm_pv_eoi'"
    assert bench.plan().empty


@pytest.mark.parametrize("there", [False, True])
def test_without_root_the_plan_says_what_cannot_be_done_and_nothing_is_written(bench, there):
    if there:
        bench.put()
        bench.apply()
    before = {path: path.read_text() for path in bench.confs.iterdir()}
    bench.put(SIMPLE_WITH_ARGS)
    plan = bench.plan()
    (found,) = [finding for finding in plan.findings if finding.id == "needs-root"]
    assert found.holds
    assert "args, hostpci0" in found.summary
    assert "qm " in found.remedy
    assert plan.held
    assert not plan.actions
    assert {path: path.read_text() for path in bench.confs.iterdir()} == before


SIMPLE_WITH_ARGS = """  hardware: {name: win, memory: 8192, cores: 4}
  raw: {args: -no-hpet, hostpci0: '0000:00:02.0'}
"""


def test_somebody_who_comes_between_plan_and_write_is_not_overwritten(bench, monkeypatch):
    bench.put()
    bench.apply()
    bench.put("  hardware: {name: win, memory: 8192, cores: 4}\n")
    send = guest._update

    def late(*args):
        bench.set(cores="3", balloon="0")
        send(*args)

    monkeypatch.setattr(guest, "_update", late)
    with pytest.raises(errors.Void, match="checksum mismatch"):
        bench.apply()
    assert bench.values()["cores"] == "3"
    assert bench.values()["memory"] == "4096"
    monkeypatch.undo()
    bench.apply()
    assert bench.values()["cores"] == "4"
    assert bench.values()["memory"] == "8192"
    assert bench.values()["balloon"] == "0"  # nobody asked for it to go
    assert bench.plan().empty


def test_a_locked_vm_is_left_alone_until_it_is_free(bench):
    bench.put()
    bench.apply()
    bench.set(lock="backup", memory="512")
    plan = bench.plan()
    assert "vm-locked" in {finding.id for finding in plan.findings}
    assert not plan.actions
    bench.write(bench.text().replace("lock: backup\n", ""))
    bench.apply()
    assert bench.values()["memory"] == "4096"


def test_a_change_goes_back_key_by_key(bench):
    bench.write(HAND_MADE)
    bench.put("  hardware: {memory: 4096, cores: 2}\n  raw: {localtime: 1}\n")
    run = bench.apply(take_over=True)
    bench.undo(run)
    before, after = conf.parse(HAND_MADE), conf.parse(bench.text())
    assert (after.main, after.others) == (before.main, before.others)
    assert after.description == before.description
    assert [drift.path for drift in bench.plan().drifts] == []  # not ours any more: held until it is taken again
    assert bench.plan().held


def test_a_vm_that_was_made_stays_when_its_run_is_undone(bench):
    bench.put()
    run = bench.apply()
    plan = bench.way_back(run)
    assert [finding.id for finding in plan.findings if finding.holds] == ["undo-needs-ssh"]
    assert 101 in bench.vmids


def test_what_only_a_shell_sees_is_unknown_and_holds_nothing(bench):
    bench.put(node="  host: {kernel_cmdline: [iommu=pt], modules: [vfio_pci]}\n")
    (found,) = [finding for finding in bench.plan().findings if finding.id == "needs-ssh"]
    assert "iommu=pt" in found.evidence[0].says
    assert not found.holds
    bench.apply()
    assert bench.plan().empty
    facts = bench.facts()
    assert isinstance(facts.roms, model.Unknown)
    assert isinstance(facts.boot.cmdline, model.Unknown)
    (igpu,) = facts.pci
    assert (igpu.id, igpu.subsystem, igpu.iommu_group) == ("8086:9bc8", "1849:9bc8", 1)
    assert isinstance(igpu.driver, model.Unknown)
    assert facts.packages["pve-qemu-kvm"] == "10.1.2-1"


def test_the_api_gives_the_digest_of_the_file_itself(bench):
    import hashlib

    bench.write(HAND_MADE)
    bench.put(vmid=102)
    file = bench.facts().guests[101]
    assert file.digest == hashlib.sha1(HAND_MADE.encode()).hexdigest()
    told, there = conf.parse(file.text), conf.parse(HAND_MADE)
    assert told == dataclasses.replace(there, snapshots=(), others=(), unparsed=())
