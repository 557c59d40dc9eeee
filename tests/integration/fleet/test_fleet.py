"""A real keeper on lab nodes: what breaks in the field is found, put right by policy or told; undo; release; one daemon a state."""

from __future__ import annotations

import re

import pytest

from patience import settled, until
from transom import errors
from transom.lab import breaks
from transom.reconcile import settings

BY = {"by": "eve"}


def converged(bench, keeper, mode: str):
    limits = "  mode: enforce\n  limits: {impact: host-reboot, fleet_drift_percent: 100}"
    text = bench.text(lambda seed: seed.replace("  mode: observe", limits) if mode == "enforce" else seed)
    done = settled(keeper, keeper.provision([text], approve=True, key="", **BY))
    assert done.state == "done", done
    return done


def do(bench, kind: str) -> None:
    breaks.find(kind).apply(bench.lab, bench.lab.node("pve1"))


@pytest.mark.parametrize(
    "kind", ["vm-edited-in-ui", "args-dropped", "grub-dropin-removed", "modules-edited", "rom-lost", "kernel-upgraded"]
)
def test_enforce_puts_right(bench, kind):
    with bench.keeper() as keeper:
        converged(bench, keeper, "enforce")
        do(bench, kind)
        until(lambda: keeper.runs()[0]["kind"] == "enforce" and keeper.runs()[0]["state"] == "applied")
        until(lambda: keeper.nodes()[0].state == "as-declared" and not [r for r in keeper.drift() if r.kind == "drift"])


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("token-revoked", "api-unreadable"),
        ("node-down", "node-unreachable"),
        ("qemu-upgraded", "qemu-igd-generation"),
        ("vm-locked", "vm-locked"),
        ("foreign-contradiction", "foreign-contradiction"),
        ("no-quorum", "no-quorum"),
    ],
)
def test_what_nobody_may_put_right_alone_is_told(bench, kind, row):
    with bench.keeper() as keeper:
        converged(bench, keeper, "enforce")
        runs = len(keeper.runs())
        do(bench, kind)
        until(lambda: any(one.key.startswith(row) for one in keeper.drift()))
        until(lambda: keeper.nodes()[0].state in ("held", "unreachable"))
        assert len(keeper.runs()) == runs


def changed_since_good(keeper) -> str:
    return next((row.detail["summary"] for row in keeper.drift() if row.key.startswith("changed-since-good")), "")


def test_what_others_change_on_a_good_host_is_told_apart_from_our_own_work(bench):
    with bench.keeper() as keeper:
        converged(bench, keeper, "observe")
        keeper.scan("pve1", **BY)
        until(lambda: not keeper.status()["under_way"])
        assert changed_since_good(keeper) == "", "what the run itself has changed is no news"
        do(bench, "second-blacklist")
        until(lambda: "/etc/modprobe.d/zzz-gpu.conf is new" in changed_since_good(keeper))
        do(bench, "vtd-off")
        until(lambda: "group of igpu at 0000:00:02.0 was " in changed_since_good(keeper))
        (bench.lab.node("pve1").root / "etc/modprobe.d/zzz-gpu.conf").unlink()
        until(lambda: "zzz-gpu" not in changed_since_good(keeper))


def test_a_bios_update_is_told_by_what_it_changed(bench):
    """Found at the next look, with what it breaks now; nothing of it is ours."""
    with bench.keeper() as keeper:
        converged(bench, keeper, "enforce")
        runs = len(keeper.runs())
        do(bench, "bios-updated")
        until(lambda: "P1.60 03/11/2022 and is American Megatrends Inc. P2.30" in changed_since_good(keeper))
        assert re.search(r"group of igpu at 0000:00:02.0 was \d+ and is none", changed_since_good(keeper))
        assert any(row.key.startswith("vtd-off") for row in keeper.drift())
        (last,) = [one for one in keeper.last_good("pve1").differs if one.name == "bios"]
        assert ("P1.60" in last.was, "P2.30" in last.now) == (True, True)
        assert len(keeper.runs()) == runs


def test_a_stale_pin_is_told_and_an_own_later_run_is_not(bench):
    """What breaks at some later boot is found before; what the policy then puts right itself is no news."""
    with bench.keeper() as keeper:
        converged(bench, keeper, "enforce")
        good = keeper.last_good("pve1")
        assert good.since is not None
        assert good.differs == ()
        do(bench, "kernel-pin-stale")
        until(lambda: any(row.key.startswith("kernel-pin-stale") for row in keeper.drift()))
        until(lambda: "/etc/default/grub is another" in changed_since_good(keeper))
        runs = len(keeper.runs())
        do(bench, "modprobe-edited")
        until(lambda: len(keeper.runs()) > runs and keeper.runs()[0]["state"] == "applied")
        keeper.scan("pve1", **BY)
        until(lambda: not keeper.status()["under_way"] and keeper.nodes()[0].state == "as-declared")
        assert "zz-transom.conf" not in changed_since_good(keeper), "our own work"
        assert any(row.key.startswith("kernel-pin-stale") for row in keeper.drift()), "stands until somebody mends it"


def test_observe_reports_and_an_approval_puts_right(bench):
    with bench.keeper() as keeper:
        converged(bench, keeper, "observe")
        do(bench, "vga-changed")
        until(lambda: keeper.plans(state="proposed"))
        assert [row.key for row in keeper.drift() if row.kind == "drift"] == ["qemu/112/vga"]
        asked = keeper.approve(keeper.plans(state="proposed")[0].hash, **BY)
        assert settled(keeper, asked).state == "done"


def test_an_undone_run_is_not_done_again_by_the_policy(bench):
    with bench.keeper() as keeper:
        done = converged(bench, keeper, "enforce")
        run = done.shares[0].run
        way_back = keeper.preview_undo(run)
        asked = settled(keeper, keeper.undo(run, approved=way_back["hash"], **BY))
        assert asked.state == "done", asked
        until(lambda: keeper.nodes()[0].state == "waiting")
        assert "taken back by a person" in keeper.nodes()[0].reason
    assert "vfio" not in bench.lab.node("pve1").ssh("cat /proc/cmdline /etc/modules; ls /etc/modprobe.d")


def test_release_gives_the_host_back_and_leaves_the_vm(bench):
    node = bench.lab.node("pve1")
    before = node.ssh(
        "cat /proc/cmdline; sha256sum /etc/default/grub /etc/modules /etc/modprobe.d/* /etc/modules-load.d/*"
    )
    with bench.keeper() as keeper:
        converged(bench, keeper, "observe")
        keeper.release("Policy/home", **BY)
        asked = settled(keeper, keeper.release("Node/pve1", **BY), "waiting")
        keeper.approve(asked.shares[0].plan, **BY)
        settled(keeper, asked, "done")
        assert keeper.nodes() == []
    after = node.ssh(
        "cat /proc/cmdline; sha256sum /etc/default/grub /etc/modules /etc/modprobe.d/* /etc/modules-load.d/*"
    )
    assert after == before
    conf = (node.root / "etc/pve/qemu-server/112.conf").read_text()
    assert "hostpci0" in conf
    assert "transom" not in conf
    assert "vm-112-disk-0" in conf


def test_remove_deletes_the_vm_and_asks_before_the_reboot(bench):
    with bench.keeper() as keeper:
        converged(bench, keeper, "observe")
        asked = settled(keeper, keeper.remove("win11-igd", confirm="win11-igd", **BY))
        assert asked.state == "waiting", "taking the host settings back needs a reboot, which nobody has typed"
        keeper.approve(asked.shares[0].plan, **BY)
        settled(keeper, asked, "done")
    node = bench.lab.node("pve1")
    assert not (node.root / "etc/pve/qemu-server/112.conf").exists()
    assert "igd-" not in node.ssh("ls /usr/share/kvm")


def test_an_adoption_is_approved_like_any_plan(bench):
    do(bench, "foreign-contradiction")
    with bench.keeper() as keeper:
        asked = settled(keeper, keeper.provision([bench.text()], approve=True, key="", **BY))
        assert asked.state == "held"
        (found,) = keeper.preview([], take_over=True)
        plan = found.plan
        approved = settled(keeper, keeper.approve(plan["hash"], **BY))
        assert approved.state == "done", approved
        assert keeper.runs()[0]["kind"] == "adopt"
        until(lambda: keeper.nodes()[0].state == "as-declared")


def test_two_daemons_do_not_share_a_state(bench):
    with bench.keeper(settings.Settings()), pytest.raises(errors.Busy, match="another daemon"), bench.keeper():
        pass
