"""Confirming when something is in the way: the daemon's own host, a cluster without quorum, whoever confirms dying at once."""

from __future__ import annotations

import pytest

from patience import until
from transom import daemon, errors
from transom.reconcile import observe, settings
from transom.reconcile.steps import confirm

HELD = "onboot: 1\nboot: order=net0\ncores: 1\nmemory: 512\nname: taker\nostype: l26\nhostpci0: 0000:00:02.0\n"
ARMED = "var/lib/transom/rollback/armed"


class Dies(KeyboardInterrupt):
    """The daemon is gone."""


def carried_out(bench, at: str, happens) -> None:
    """``happens`` when the run says ``at``."""
    service = bench.service()
    service.put([bench.seed])
    node = service.wish("pve1")
    plan = service.propose(node)

    def say(line: str) -> None:
        bench.said.append(line)
        if at in line:
            happens()

    service._say = say
    try:
        service.apply(node, approved=plan.hash)
    finally:
        service.close()


def settled(bench) -> str:
    """As a daemon or command that comes later does first; what it said."""
    bench.said.clear()
    service = bench.service()
    service.settle(service.wish("pve1"))
    service.close()
    return "\n".join(bench.said)


def dies() -> None:
    raise Dies


def test_its_own_host_is_prepared_and_confirmed_once_a_person_has_rebooted_it(bench, monkeypatch):
    monkeypatch.setattr(observe, "_here", lambda _: True)
    boots = bench.node.boots
    with pytest.raises(Dies):  # with the host, when its person reboots it
        carried_out(bench, "reboot it with `systemctl reboot`", dies)
    assert bench.node.boots == boots, "never by itself"
    assert (bench.node.root / ARMED).exists()
    assert "drained.json" not in bench.node.ssh("ls /var/lib/transom"), "PVE's own shutdown sees to the guests"
    assert "not confirmed" not in settled(bench)
    assert (bench.node.root / ARMED).exists(), "nothing to confirm in the boot that armed it"
    bench.node.reboot()
    assert "confirmed after its run had ended" in settled(bench)
    assert not (bench.node.root / ARMED).exists()
    bench.apply()
    assert bench.plan().empty
    assert bench.driver() == "vfio-pci"
    assert bench.node.boots == boots + 1


def test_without_quorum_nothing_is_confirmed_before_it_is_back(bench, monkeypatch):
    monkeypatch.setattr(confirm, "_SETTLES", 0)
    lost = bench.node.root / "etc/pve/.noquorum"
    with pytest.raises(errors.VerifyFailed, match=r"not confirmed: the cluster is not quorate.*goes back by itself at"):
        carried_out(bench, "… confirm the boot", lost.touch)
    said = "\n".join(bench.said)
    assert "! not confirmed yet: the cluster is not quorate; the node goes back by itself at" in said
    assert "`transom apply` looks at pve1 again" in said
    assert "transom undo" not in said, "refused as long as the boot waits"
    bench.node.ssh(
        "echo '[]' >/var/lib/transom/ledger.json"
    )  # as a run leaves it whose node cannot be reached any more
    assert "ledger-differs" not in {one.id for one in bench.plan().findings}
    assert (bench.node.root / ARMED).exists()
    assert "the cluster is not quorate" in settled(bench)
    assert (bench.node.root / ARMED).exists()
    lost.unlink()
    assert "confirmed after its run had ended" in settled(bench)
    assert not (bench.node.root / ARMED).exists()


def test_whoever_dies_right_after_confirming_leaves_no_start_held(bench):
    """The node itself has given it back; the next look brings the file back to the byte."""
    path = bench.node.root / "etc/pve/nodes/pve1/qemu-server/152.conf"
    path.write_text(HELD)
    path.chmod(0o600)
    with pytest.raises(Dies):
        carried_out(bench, "… give back what the node was emptied of", dies)
    assert "onboot: 1\n" in path.read_text()
    assert path.read_text() != HELD, "PVE writes it in its own way"
    settled(bench)
    assert path.read_text() == HELD
    assert not (bench.node.root / "var/lib/transom/drained.json").exists()


def test_a_paused_daemon_still_confirms_what_a_dead_one_left(bench):
    quiet = settings.Settings(scan_every=3600, scan_jitter=0, settle=0)
    with daemon.open_keeper(bench.state, quiet) as keeper:
        keeper.pause("power cut", by="eve")
    with pytest.raises(Dies):
        carried_out(bench, "… confirm the boot", dies)
    assert (bench.node.root / ARMED).exists()
    with daemon.open_keeper(bench.state, quiet) as keeper:
        until(lambda: not (bench.node.root / ARMED).exists())
        assert keeper.status()["paused"]
