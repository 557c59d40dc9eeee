"""A change that is booted once before it is made, where GRUB can: it works, or the node comes back; or the plan says why not."""

from __future__ import annotations

import json

import pytest

from transom import errors
from transom.host import rebuild
from transom.lab import node as lab_node
from transom.plan import actions as acts
from transom.plan import once
from transom.reconcile.steps import reboot


@pytest.fixture
def trying(bench):
    """A node whose /boot is on a plain partition, and documents that ask for a trial."""
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace("  host:\n", "  host:\n    trial: auto\n", 1))
    (bench.node.place.control / lab_node.PLAIN_BOOT).touch()
    bench.node.ssh("grub-editenv /boot/grub/grubenv create; update-grub 2>/dev/null")
    return bench


def said(bench) -> str:
    (row,) = bench.json("run", "ls")
    return " ".join(event["text"] for event in bench.json("run", "show", row["id"])["events"])


def no_traces(bench) -> None:
    for path in ("boot/grub/custom.cfg", "var/lib/transom/trial", "var/lib/transom/dirty/trial"):
        assert not (bench.node.root / path).exists()
    assert "next_entry" not in bench.text("/boot/grub/grubenv")
    assert not (bench.node.root / f"etc/systemd/system/{once.UNIT}").exists()


def test_what_works_once_is_made_permanent(trying):
    boots = trying.node.boots
    custom = trying.node.root / "boot/grub/custom.cfg"
    custom.write_text("# of somebody else")
    trying.apply(trying.seed)
    assert trying.node.boots == boots + 2
    assert "booted once with root=/dev/mapper/pve-root ro" in said(trying)
    assert once.MARK not in trying.node.ssh("cat /proc/cmdline")
    assert trying.driver() == "vfio-pci"
    assert custom.read_text() == "# of somebody else"
    custom.unlink()
    no_traces(trying)
    assert trying.plan().empty


@pytest.mark.parametrize("token", ["root=UUID=5ca1ab1e-dead", "init=/bin/false"])
def test_what_does_not_boot_is_never_made(trying, token):
    trying.seed.write_text(trying.seed.read_text().replace("- iommu=pt\n", f"- iommu=pt\n      - {token}\n", 1))
    before, line = trying.files(), trying.node.ssh("cat /proc/cmdline")
    with pytest.raises(errors.Rejected, match=r"it did not come up, and went back by itself.*nothing permanent"):
        trying.apply(trying.seed)
    assert trying.files() == before
    assert trying.node.ssh("cat /proc/cmdline") == line
    no_traces(trying)


def test_a_node_that_refuses_to_reboot_has_nothing_of_the_trial_left(trying, monkeypatch):
    monkeypatch.setattr(reboot, "REPORT_EVERY", 1)
    tool = trying.node.root / "usr/local/sbin/systemctl"
    tool.write_text('#!/bin/sh\n[ "$1" != reboot ] || { echo "Access denied" >&2; exit 1; }\n')
    tool.chmod(0o755)
    before, boots = trying.files(), trying.node.boots
    with pytest.raises(errors.Rejected, match=r"pve1 refuses to reboot: Access denied .*nothing permanent was changed"):
        trying.apply(trying.seed)
    assert trying.node.boots == boots
    assert trying.files() == before
    no_traces(trying)


def test_a_run_that_was_cut_off_leaves_nothing_of_its_trial(trying):
    """Cut off between asking for the entry and the reboot: what is planned next takes it away first."""
    trying.apply(trying.seed)
    trying.node.ssh("mkdir -p /var/lib/transom/dirty; : >/var/lib/transom/dirty/trial")
    (action,) = trying.plan().actions
    assert isinstance(action, acts.RunStep)
    assert action.line == rebuild.USUAL[action.step]
    tried = once.TryBoot("grub", "b", "k", ("root=/dev/mapper/pve-root", f"{once.MARK}0"), {}, "menuentry 'x' {\n}\n")
    before = trying.files()
    trying.node.ssh(tried.begin)
    assert trying.files() != before
    trying.apply()
    assert trying.files() == before
    no_traces(trying)
    assert trying.plan().empty


def test_where_grub_cannot_forget_an_entry_none_is_tried(bench):
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace("  host:\n", "  host:\n    trial: auto\n", 1))
    done = bench.transom("plan", "-f", str(bench.seed), "--json")
    (plan,) = json.loads(done.stdout)
    (note,) = [one for one in plan["findings"] if one["id"] == "no-trial"]
    assert "GRUB cannot write its environment on ext4 on dm-1" in note["evidence"][0]["says"]
    assert not note["holds"]
    assert "try-boot" not in [action["kind"] for action in plan["actions"]]
