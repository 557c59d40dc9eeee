"""What a running QEMU was started with, against the documents: drift that a restart puts right, or a finding."""

from __future__ import annotations

import dataclasses

from transom import model
from transom.guest import conf
from transom.plan import running
from transom.spec import wish

ARGV = ("/usr/bin/kvm", "-device", "vfio-pci,host=0000:00:02.0,id=hostpci0", "-machine", "type=pc+pve0", "-no-hpet")
NOW = ("/usr/bin/kvm", "-device", "vfio-pci,host=0000:01:00.0,id=hostpci0", "-machine", "type=pc+pve0")
PARSED = conf.parse("hostpci0: mapping=igpu\n")
WANTS = {"hostpci0": wish.Want("mapping=igpu", "VirtualMachine/a")}
MAPPING = model.PciMapping("igpu", ("node=pve1,path=0000:01:00.0", "node=pve2,path=0000:00:02.0"), "d")


NOWHERE = wish.Access((), "", wish.SecretRef(), "", "", "192.0.2.1", 22, "root", wish.SecretRef(env="X"), "")
NODE = wish.NodeWish("n1", "pve1", "Node/n1", "home", NOWHERE, {}, {}, ())


def judged(facts, *, since=1, written=2, entries=MAPPING.entries, argv=ARGV):
    started = model.Started(4711, since, written, argv, NOW)
    mappings = {"igpu": dataclasses.replace(MAPPING, entries=entries)}
    seen = dataclasses.replace(facts, started={112: started}, mappings=mappings)
    return running.judge(112, PARSED, WANTS, NODE, seen)


def test_a_mapping_that_leads_elsewhere_is_drift_of_what_runs(desk):
    told = judged(desk.node.facts())
    (drift,) = told.drifts
    assert (drift.path, drift.level, drift.impact) == ("qemu/112/hostpci0", "effective", "guest-restart")
    assert "0000:00:02.0" in (drift.observed or "")
    assert "0000:01:00.0" in (drift.desired or "")
    assert told.stale == ("hostpci0",)
    (finding,) = told.findings  # nobody declares args
    assert (finding.id, finding.holds) == ("qemu-started-otherwise", False)
    assert "-no-hpet" in finding.evidence[0].says


def test_a_restart_that_cannot_help_is_not_planned(desk):
    told = judged(desk.node.facts(), since=3)
    assert (told.drifts, told.stale) == ((), ())
    assert told.findings[0].summary.endswith("args, hostpci0")


def test_of_several_devices_of_a_mapping_any_is_right(desk):
    more = (*MAPPING.entries, "node=pve1,path=0000:02:00.0")
    told = judged(desk.node.facts(), entries=more)
    assert (told.drifts, told.stale) == ((), ())


def test_what_could_not_be_read_is_said_and_moves_nothing(desk):
    told = judged(desk.node.facts(), argv=model.Unknown("gone"))
    assert (told.drifts, told.stale) == ((), ())
    assert [finding.id for finding in told.findings] == ["qemu-arguments-unread"]
    unread = dataclasses.replace(desk.node.facts(), started=model.Unknown("no SSH"))
    assert running.judge(112, PARSED, WANTS, NODE, unread) == running.Verdict()
