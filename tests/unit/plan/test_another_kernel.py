"""A reboot that starts another kernel than the running one says so beforehand."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import next_kernel
from transom.plan import another_kernel, result
from transom.spec import wish

NEWER = "6.2.16-20-pve"
ACCESS = wish.Access((), "", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), "")


def wanting(*accept: str, **host: str) -> wish.NodeWish:
    wants = {key: (wish.Want(value, "Node/pve1"),) for key, value in host.items()}
    node = wish.NodeWish("pve1", "pve1", "Node/pve1", "home", ACCESS, wants, {}, ())
    return dataclasses.replace(node, accept=accept)


def told(plan: result.Plan) -> list[model.Finding]:
    return [one for one in plan.findings if one.id == "another-kernel"]


def with_newer_first(desk) -> None:
    """As `apt` leaves a node on which a kernel was installed since its boot."""
    config = desk.node.files["/boot/grub/grub.cfg"][0]
    newer = config.replace("vmlinuz-5.15.74-1-pve", f"vmlinuz-{NEWER}")
    desk.node.write("/boot/grub/grub.cfg", f'set default="0"\n{newer}{config}')


def test_it_is_a_note_with_both_kernels_and_a_way_to_stay(desk) -> None:
    with_newer_first(desk)
    assert next_kernel.of(desk.node.facts()) == NEWER
    (note,) = told(desk.plan(wanting(kernel_cmdline="iommu=pt")))
    assert not note.holds
    assert NEWER in note.summary
    assert "5.15.74-1-pve" in note.summary
    assert "proxmox-boot-tool kernel pin 5.15.74-1-pve" in note.remedy


def test_nothing_is_said_of_the_same_kernel_without_a_reboot_or_to_who_knows_it(desk) -> None:
    assert told(desk.plan(wanting(kernel_cmdline="iommu=pt"))) == []
    with_newer_first(desk)
    assert told(desk.plan(wanting(blacklist="dm_mod"))) == []
    assert told(desk.plan(wanting("another-kernel", kernel_cmdline="iommu=pt"))) == []


def test_nothing_is_said_where_the_default_cannot_be_followed(desk) -> None:
    with_newer_first(desk)
    desk.node.write("/boot/grub/grub.cfg", desk.node.files["/boot/grub/grub.cfg"][0].replace('"0"', '"${saved_entry}"'))
    plan = desk.plan(wanting(kernel_cmdline="iommu=pt"))
    assert plan.actions
    assert list(another_kernel.note(plan.actions, desk.node.facts())) == []
