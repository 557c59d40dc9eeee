"""The boot after a change, looked at until it is as planned: what is missing is told in time, and kept for whoever asks later."""

from __future__ import annotations

import dataclasses
import re

import pytest

from transom import errors, model
from transom.host import facts as host_facts
from transom.plan import actions as acts
from transom.reconcile import deadman, returned
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.reconcile.steps import confirm
from transom.ssh import pump
from transom.store import records, store

ARMED = "armed=run1 boot-1 45\n"
GONE = "rolled-run=run1\nrolled-at=1700000050\nrolled-boot=boot-2\nrolled-reason=not confirmed within 45 s\n"
WANTED = "kernel_cmdline/intel_iommu=on"
LACKS = f"{WANTED} is not in effect"
ACTION = acts.Confirm("boot-1", (WANTED,))


@dataclasses.dataclass
class Booted:
    """A node that lacks the parameter until ``comes``, and that goes back at ``goes`` and is away for 20 s then, by seconds."""

    comes: float = 1e9
    goes: float = 1e9
    clock: float = 0

    def script(self, text, *_, **__):
        if self.goes + 2 <= self.clock < self.goes + 20:
            raise errors.Unreachable("connection refused")
        boot = "boot-3" if self.clock >= self.goes + 20 else "boot-2"
        line = "quiet intel_iommu=on" if self.clock >= self.comes else "quiet"
        bodies = {
            "boot": f"boot_id={boot}\nkernel=6.8.12-1-pve\ncmdline={line}\ntime=btime 1700000000\nfirmware=1\ngrub=1\n",
            "keeping": GONE if self.clock >= self.goes else ARMED,
        }
        nonce = re.search(r"=== (\w+) ", text)[1]
        frames = [f"=== {nonce} {name}\n{body}\n=== {nonce} end {name} 0\n" for name, body in bodies.items()]
        return pump.Completed(0, f"{''.join(frames)}=== {nonce} done\n".encode(), b"")

    def run(self, argv, **_):
        assert argv[-2:] == ["disarm", "run1"]
        return pump.Completed(0, b"disarmed \n", b"")

    def version(self):
        return "9.0"

    def guests(self, _):
        return {}

    def cluster_status(self):
        return dataclasses.make_dataclass("Status", ["quorate"])(quorate=True)

    def confirmed(self, notes: list) -> str:
        def sleep(seconds: float) -> None:
            self.clock += seconds

        now, note = lambda: self.clock, lambda *line: notes.append(line)
        world = w.World("pve1", self, self, None, now, sleep, lambda: "12345678", str, None, monotonic=now)
        return confirm.apply(ACTION, eff.Effect(), world, eff.Context("run1", "boot-1", note=note))


def test_what_comes_right_at_once_is_not_worth_a_word():
    notes = []
    assert "keeps this boot" in Booted(comes=1).confirmed(notes)
    assert notes == []


def test_what_is_missing_is_told_at_the_second_look_with_the_time_at_which_the_node_goes_back():
    notes = []
    assert "keeps this boot" in Booted(comes=9).confirmed(notes)
    said = f"not confirmed yet: {LACKS}; the node goes back by itself at 22:14:05 UTC by its clock"
    assert notes == [(deadman.MISSING, said, [LACKS])]


def test_what_stays_missing_fails_the_run_before_the_node_goes_back():
    notes = []
    with pytest.raises(errors.VerifyFailed, match=f"not confirmed: {re.escape(LACKS)} .*goes back by itself at"):
        Booted(goes=600).confirmed(notes)
    assert len(notes) == 1


@pytest.mark.parametrize("goes", [45, 0])
def test_a_node_that_goes_back_meanwhile_is_waited_for_and_says_from_what(goes):
    """It cannot be reached while it reboots; and it was not looked at before where it went at once."""
    notes, node = [], Booted(goes=goes)
    with pytest.raises(errors.WentBack) as ended:
        node.confirmed(notes)
    assert goes + 20 <= node.clock < goes + 30
    missing = LACKS if goes else "SSH, the API or quorum"
    assert f"not confirmed within 45 s; what was missing: {missing} (" in str(ended.value)
    assert "`transom resume pve1`" in str(ended.value)
    assert [(phase, data) for phase, _, data in notes] == [(deadman.MISSING, [missing])]


def test_what_was_missing_stands_in_the_finding(tmp_path):
    kept = store.open_store(tmp_path)
    run = records.Run("run1", "pve1", "abc", "apply", "", records.RUNNING, "", "boot-1", {}, 1.0, None)
    kept.put_plan("abc", "pve1", {"actions": []}, 1.0)
    kept.start_run(run, lambda _: None)
    keeping = model.Keeping(rolled_back=model.RolledBack("run1", 5, "boot-2", "not confirmed within 45 s"))
    facts = dataclasses.replace(host_facts.facts("pve1", {}), keeping=keeping)
    assert returned.explained(facts, kept) == facts
    for text in ("quorum", LACKS):
        kept.append("run1", 9, deadman.MISSING, text, [text], 2.0)
    gone = deadman.rolled_back(returned.explained(facts, kept))
    assert gone.reason == f"not confirmed within 45 s; what was missing: {LACKS}"
    kept.close()
