"""The field's ways to lose a working passthrough: each repairable one is repaired, each other is refused with its own finding."""

from __future__ import annotations

import pytest

from transom import errors
from transom.lab import breaks

# What the plan must say, and nothing else that holds, where no machine may repair it.
FINDINGS = {
    "vm-locked": {"vm-locked"},
    "second-blacklist": {"foreign-contradiction"},
    "foreign-contradiction": {"foreign-contradiction"},
    "token-revoked": {"api-unreadable"},
    "no-quorum": {"no-quorum"},
    "vtd-off": {"vtd-off"},
    "bios-updated": {"vtd-off"},
    "igpu-hidden": {"igpu-hidden"},
    "qemu-upgraded": {"qemu-igd-generation"},
}
REPAIRABLE = sorted(kind for kind, one in breaks.KINDS.items() if one.repairable)
NOTED = {"kernel-pin-stale": "kernel-pin-stale"}
"""What breaks only at a later boot: told, and nothing is held by it."""
OTHERS = sorted(kind for kind, one in breaks.KINDS.items() if not one.repairable and kind not in NOTED)


def broken(bench, kind: str) -> None:
    bench.apply(bench.seed)
    assert bench.plan().empty
    breaks.find(kind).apply(bench.lab, bench.node)


@pytest.mark.parametrize("kind", REPAIRABLE)
def test_repairable_is_found_and_repaired(bench, kind):
    broken(bench, kind)
    found = bench.plan()
    if kind == "bus-renumbered":  # 00:02.0 itself stays where it is, and that is all that was declared
        assert found.empty
    if not found.empty:
        assert not found.held, found.gates
        bench.apply()
    elif kind not in ("bus-renumbered", "grub-replaced"):
        pytest.fail(f"{kind} went unnoticed")
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"


@pytest.mark.parametrize("kind", OTHERS)
def test_other_is_refused_with_the_named_finding(bench, kind):
    broken(bench, kind)
    if kind == "node-down":
        with pytest.raises(errors.Unreachable):
            bench.plan()
        return
    before = bench.files()
    plan = bench.plan()
    assert plan.actions == ()
    assert {finding.id for finding in plan.findings if finding.holds} == FINDINGS[kind]
    assert all(finding.evidence and finding.remedy for finding in plan.findings)
    done = bench.transom("apply", "--yes")
    assert done.returncode == 3
    assert bench.files() == before


def test_every_break_is_tried():
    assert set(OTHERS) == FINDINGS.keys() | {"node-down"}


@pytest.mark.parametrize("kind", NOTED)
def test_what_breaks_at_a_later_boot_is_told(bench, kind):
    broken(bench, kind)
    plan = bench.plan()
    assert plan.actions == ()
    assert not plan.held
    (found,) = [finding for finding in plan.findings if finding.id == NOTED[kind]]
    assert found.evidence
    assert "5.15.74-1-pve" in found.remedy
