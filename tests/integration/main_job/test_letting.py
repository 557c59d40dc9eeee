"""``release``, ``rm`` and ``cancel`` where no daemon works on the state."""

from __future__ import annotations

import json

VM = "/etc/pve/qemu-server/112.conf"
LEASE = "var/lib/transom/lease.json"


def test_a_vm_is_released_and_its_node_after_it(bench):
    before = bench.files()
    bench.apply(bench.seed)
    shown = bench.transom("release", "win11-igd", "--dry-run", "--json")
    assert shown.returncode == 0, shown.stderr
    (one,) = json.loads(shown.stdout)
    assert "host-reboot" in one["plan"]["impact"]
    refused = bench.transom("release", "win11-igd")
    assert refused.returncode == 64  # nobody to ask
    assert "transom" in bench.text(VM)
    done = bench.transom("release", "win11-igd", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    (outcome,) = json.loads(done.stdout)
    assert outcome["state"] == "done"
    assert bench.json("run", "ls")[0]["kind"] == "release"
    assert "hostpci0" in bench.text(VM)
    assert "transom" not in bench.text(VM)
    assert bench.transom("rm", "win11-igd", "--confirm", "win11-igd").returncode == 1  # it is no document any more
    assert (bench.node.root / LEASE).exists()
    assert bench.transom("release", "pve1", "--yes").returncode == 65  # the policy refers to it
    assert bench.transom("release", "Policy/home").returncode == 0
    done = bench.transom("release", "pve1", "--yes")
    assert done.returncode == 0, done.stderr
    assert not (bench.node.root / LEASE).exists()
    assert bench.json("node", "ls") == []
    after = bench.files()
    left = {path for path in after if after[path] != before.get(path)}
    assert {path.rpartition("/")[0] for path in left} <= {
        "etc/pve/nodes/pve1/qemu-server",
        "usr/share/kvm",
    }  # the VM, and its ROM
    assert bench.driver() == "i915"


def test_a_vm_is_removed_by_its_name(bench):
    bench.apply(bench.seed)
    for words in (
        ("--confirm", "other", "--yes"),
        ("--confirm", "win11-igd"),
    ):  # another name; a reboot that nobody agreed to
        assert bench.transom("rm", "win11-igd", *words).returncode in (1, 64)
    assert (bench.node.root / VM[1:]).exists()
    done = bench.transom("rm", "win11-igd", "--confirm", "win11-igd", "--yes")
    assert done.returncode == 0, done.stderr
    assert not (bench.node.root / VM[1:]).exists()
    assert bench.json("plan")[0]["empty"]
    assert bench.transom("cancel", "op-0").returncode == 1
