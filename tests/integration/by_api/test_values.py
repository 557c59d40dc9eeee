"""What a document may say in PVE's own words: what PVE would refuse is told before anything is written."""

from __future__ import annotations

import pytest


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
