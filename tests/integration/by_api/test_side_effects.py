"""What PVE changes by itself when other keys are written is nobody else's hand, and does not stand against the documents."""

from __future__ import annotations

import pytest

from transom import errors
from transom.reconcile.steps import guest

VM = """boot: {boot}
cores: 2
memory: 2048
name: win
ostype: l26
scsi0: local-lvm:vm-101-disk-0,size=32G
smbios1: uuid=0f5e6a52-0000-4000-8000-000000000001
vmgenid: 0f5e6a52-0000-4000-8000-000000000002
"""
DISK = "disks: {scsi0: {storage: local-lvm, size: 32G}}"
MEDIA = "  media: {ide2: 'local:iso/v.iso'}\n"


@pytest.fixture
def hand_made(bench):
    """A VM with this boot order and these lines more, ours once a document takes it over."""
    images = bench.here.place.path("var/lib/vz/template/iso")
    images.mkdir(parents=True, exist_ok=True)
    for name in ("v.iso", "w.iso"):
        (images / name).write_bytes(b"x" * 2048)

    def made(boot: str = "order=scsi0", more: str = "") -> None:
        bench.write(VM.format(boot=boot) + more)

    return made


def settled(bench, spec: str) -> str:
    bench.put(spec)
    run = bench.apply(take_over=True)
    assert bench.plan().empty
    return run


@pytest.mark.parametrize("more", ["", "ide2: local:iso/w.iso,media=cdrom,size=2K\n"], ids=["added", "swapped"])
def test_a_cd_leaves_the_boot_order_of_others_as_it_was(bench, hand_made, more):
    hand_made(more=more)
    before = bench.values()
    run = settled(bench, MEDIA)
    assert bench.values()["ide2"].startswith("local:iso/v.iso")
    assert bench.values()["boot"] == "order=scsi0"
    bench.undo(run)
    assert bench.values() == before


@pytest.mark.parametrize("boot", ["[scsi0]", "[scsi0, ide2]", "[ide2, scsi0]"])
def test_a_declared_boot_order_is_kept_when_a_cd_comes(bench, hand_made, boot):
    hand_made()
    settled(bench, f"  hardware: {{boot: {boot}, {DISK}}}\n{MEDIA}")
    assert bench.values()["boot"] == f"order={boot.strip('[]').replace(', ', ';')}"
    settled(bench, f"  hardware: {{boot: [scsi0], {DISK}}}\n{MEDIA.replace('ide2', 'ide0')}")
    assert bench.values()["boot"] == "order=scsi0"


def test_a_network_card_that_goes_leaves_the_boot_order(bench, hand_made):
    cards = "  hardware: {network: {net0: {model: virtio, bridge: vmbr0}, net1: {model: virtio, bridge: vmbr0}}}\n"
    hand_made()
    settled(bench, cards)
    bench.set(boot="order=scsi0;net1")
    before = bench.values()
    run = settled(bench, cards.replace(", net1: {model: virtio, bridge: vmbr0}", ""))
    assert bench.values()["boot"] == "order=scsi0"
    assert "net1" not in bench.values()
    bench.undo(run)
    assert bench.values() == before


def test_a_boot_order_takes_bootdisk_away(bench, hand_made):
    hand_made("cdn", "bootdisk: scsi0\n")
    before = bench.values()
    run = settled(bench, "  raw: {boot: order=scsi0}\n")
    assert bench.values()["boot"] == "order=scsi0"
    assert "bootdisk" not in bench.values()
    bench.undo(run)
    assert bench.values() == before


def test_windows_pins_the_machine(bench, hand_made):
    hand_made()
    before = bench.values()
    run = settled(bench, "  hardware: {ostype: win11}\n")
    assert bench.values()["machine"].startswith("pc-i440fx-")
    bench.undo(run)
    assert bench.values() == before


def test_what_a_person_does_between_two_requests_still_counts(bench, hand_made, monkeypatch):
    hand_made()
    settled(bench, "  hardware: {memory: 1024}\n")
    bench.put(f"  hardware: {{memory: 1024, boot: [scsi0], {DISK}}}\n{MEDIA}")
    send = guest._update

    def late(*args):
        send(*args)
        bench.set(cores="3")

    monkeypatch.setattr(guest, "_update", late)
    with pytest.raises(errors.Void, match="somebody else changed cores"):
        bench.apply()


@pytest.mark.parametrize("other", ["none,media=cdrom", "local-lvm:vm-101-disk-1", "local:iso/v.iso,media=cdrom"])
def test_a_data_disk_is_never_pushed_out_of_its_key(bench, hand_made, other):
    hand_made()
    bench.put(f"  raw: {{scsi0: '{other}'}}\n")
    plan = bench.plan(take_over=True)
    (found,) = [finding for finding in plan.findings if finding.id == "vm-cannot-converge"]
    assert found.holds
    assert "would be detached" in found.summary
    assert not plan.actions


def test_what_a_person_wrote_that_looks_like_a_mark_stays(bench):
    bench.write("#transom%3A managed\n#note\n#transom%3A by hand\n" + VM.format(boot="order=scsi0"))
    run = settled(bench, "  hardware: {memory: 1024}\n")
    note = "transom: managed\nnote\ntransom: by hand"
    assert bench.values()["description"] == f"{note}\n\ntransom: win"
    bench.undo(run)
    assert bench.values()["description"] == note
