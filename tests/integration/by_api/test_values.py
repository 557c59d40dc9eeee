"""What a document may say in PVE's own words: what PVE would refuse is told before anything is written."""

from __future__ import annotations

import pytest

from transom import errors


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("bios: uefi", "is none of seabios, ovmf"),
        ("sockets: two", "is not a whole number"),
        ("onboot: maybe", "is not 0 or 1"),
        ("net0: 'virtio,brige=vmbr0'", "there is no property 'brige'"),
        ("hostpci0: 'host=2,mapping=igpu'", "is not a PCI address"),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_a_value_that_pve_would_refuse_holds_the_plan(bench, raw, said, there):
    if there:
        bench.write("name: win\n")
    bench.put(f"  hardware: {{name: win}}\n  raw: {{{raw}}}\n")
    (found,) = [one for one in bench.plan(take_over=True).findings if one.id == "vm-value-unfit"]
    assert found.holds
    assert said in found.summary


def test_switches_in_any_spelling_notes_of_several_lines_and_empty_drives_reach_pve(bench):
    bench.put(
        "  hardware: {name: win}\n  media: {ide2: none}\n"
        "  raw:\n    onboot: yes\n    kvm: false\n    cores: 04\n    description: |\n      first\n\n      third\n"
    )
    bench.apply()
    assert bench.plan().empty
    values = bench.values()
    assert (values["onboot"], values["kvm"], values["cores"]) == ("1", "0", "4")
    assert values["ide2"] == "none,media=cdrom"
    assert values["description"].startswith("first\n\nthird\n")


def test_taking_a_vm_over_unread_says_what_is_not_known(bench):
    bench.write("cores: 2\nname: theirs\n")
    bench.put("  hardware: {memory: 2048}\n")
    plan = bench.plan(take_over=True)
    assert [one.holds for one in plan.findings if one.id == "vm-lines-unseen"] == [False]


def test_small_disks_their_options_and_cards_without_a_bridge_are_made_and_kept(bench):
    bench.put(
        "  hardware:\n    disks: {scsi0: {storage: local-lvm, size: 512M, aio: threads, backup: no}}\n"
        "    network: {net0: {model: virtio, rate: 12.5}}\n",
        more="---\n",
    )
    bench.apply()
    assert bench.plan().empty
    values = bench.values()
    assert values["scsi0"].endswith("aio=threads,backup=0,size=512M")
    assert "bridge" not in values["net0"]
    assert "rate=12.5" in values["net0"]


def test_what_others_left_pending_on_a_stopped_vm_comes_alive_with_our_change_and_is_told(bench):
    bench.put("  hardware: {name: win, memory: 4096}\n")
    bench.apply()
    bench.write(bench.text().rstrip() + "\n\n[PENDING]\nballoon: 0\n")
    assert bench.plan().empty  # nothing is written, and nothing comes alive
    bench.put("  hardware: {name: win, memory: 2048}\n")
    (found,) = [one for one in bench.plan().findings if one.id == "pending-comes-along"]
    assert not found.holds
    assert found.summary.startswith("the change also brings balloon into effect")


@pytest.mark.parametrize(("length", "over"), [(8000, 0), (8190, 12)])
def test_a_note_that_our_mark_makes_too_long_holds_the_plan(bench, length, over):
    bench.write(f"#{'x' * length}\nname: theirs\n")
    bench.put("  hardware: {memory: 2048}\n")
    found = [one for one in bench.plan(take_over=True).findings if one.id == "vm-note-too-long"]
    assert [one.holds for one in found] == ([True] if over else [])
    assert all(f"is {over} characters longer" in one.summary for one in found)


def test_a_renamed_document_is_told_the_way_out(bench):
    bench.put(name="one")
    with pytest.raises(errors.SpecError, match=r"stored earlier.*transom release VirtualMachine/one"):
        bench.put(name="two")
