"""A change of what boots is tried aside first: what the node's own tools refuse, or make otherwise, is never written."""

from __future__ import annotations

import json

import pytest

from transom import errors
from transom.plan import rehearsal


def journal(bench, run: str) -> list[tuple[str, str]]:
    return [(event["phase"], event["text"]) for event in bench.json("run", "show", run)["events"]]


def fails(bench, match: str) -> None:
    before = bench.files()
    with pytest.raises(errors.Rejected, match=match):
        bench.apply(bench.seed)
    assert bench.files() == before
    assert not (bench.node.root / rehearsal.ASIDE.lstrip("/")).exists()
    ((phase, text),) = [one for one in journal(bench, bench.json("run", "ls")[0]["id"]) if one[0] == "failed"]
    assert phase == "failed"
    assert "nothing was changed" in text


def test_what_the_tools_refuse_is_not_written(bench):
    """Legal for our own reader, which leaves alone what does not bear on the command line; grub-mkconfig stops at it."""
    (bench.node.root / "etc/default/grub.d/theme.cfg").write_text("GRUB_THEME=$(exit 3)\n")
    fails(bench, "tried aside, and it fails")


def test_what_comes_out_otherwise_is_not_written(bench):
    """A menu script of somebody's that leaves the defaults' parameters out."""
    tool = bench.node.root / "usr/local/sbin/grub-mkconfig"
    tool.write_text('#!/bin/sh\n/usr/sbin/grub-mkconfig "$@" || exit\nsed -i "s/ iommu=pt//" "$2"\n')
    tool.chmod(0o755)
    fails(bench, "the entry .* lacks iommu=pt")


def test_a_module_or_a_setting_that_is_nowhere_is_not_waited_for_until_the_boot(bench):
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace("  host:\n", "  host:\n    sysctl: [vm.swapiness=10]\n"))
    fails(bench, "the running kernel has no /proc/sys/vm/swapiness: mistyped")
    bench.seed.write_text(text)
    bench.seed.write_text(bench.seed.read_text().replace("- vfio\n", "- vfoi\n", 1))
    fails(bench, "Module vfoi not found")


def test_the_plan_tells_the_next_boot_and_it_comes_true_with_an_initramfs_built_before(bench):
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace("  host:\n", "  host:\n    simulate: full\n", 1))
    (plan,) = json.loads(bench.transom("plan", "-f", str(bench.seed), "--json").stdout)
    run = bench.apply(bench.seed)
    assert any("an initramfs of 5.15.74-1-pve can be built" in said for _, said in journal(bench, run))
    assert bench.node.ssh("cat /proc/cmdline").split()[1:] == plan["next_boot"]["cmdline"]
    assert {one["address"]: one["then"] for one in plan["next_boot"]["owners"]} == {"0000:00:02.0": bench.driver()}
    assert not (bench.node.root / rehearsal.ASIDE.lstrip("/")).exists()


def test_a_plan_is_tried_aside_without_anything_left(bench):
    """Also where the node's tools refuse it: the plan is shown, with their words."""
    everything = bench.files()
    there = sorted(path.name for path in (bench.node.root / "var/lib").iterdir())
    text = bench.transom("plan", "-f", str(bench.seed), "--simulate")
    assert text.returncode == 0, text.stderr
    assert "Tried aside on the node" in text.stdout
    assert "✓ an initramfs of 5.15.74-1-pve can be built" in text.stdout
    (plan,) = json.loads(bench.transom("plan", "-f", str(bench.seed), "--simulate", "--json").stdout)
    assert plan["simulated"]["ok"] is True
    assert plan["simulated"]["cmdline"] == plan["next_boot"]["cmdline"]
    assert [action["kernel"] for action in plan["actions"] if action["kind"] == "simulate"] == [""]  # as without
    (bench.node.root / "etc/default/grub.d/theme.cfg").write_text("GRUB_THEME=$(exit 3)\n")
    refused = bench.transom("plan", "-f", str(bench.seed), "--simulate")
    assert refused.returncode == 1
    assert "✗ tried aside, and it fails" in refused.stdout
    assert "Actions, in this order" in refused.stdout
    (bench.node.root / "etc/default/grub.d/theme.cfg").unlink()
    assert bench.files() == everything
    assert sorted(path.name for path in (bench.node.root / "var/lib").iterdir()) == there
    assert bench.transom("plan", "--simulate", "--as-shell").returncode == 64


def test_nothing_is_tried_where_nothing_would_change_what_boots(bench):
    bench.apply(bench.seed)
    (plan,) = json.loads(bench.transom("plan", "--simulate", "--json").stdout)
    assert plan["simulated"]["ok"] is None
    assert "nothing to try" in plan["simulated"]["said"][0]
