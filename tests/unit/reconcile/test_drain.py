"""Emptying a node under HA and by migration, on a node with state that knows these commands alone."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import types

import pytest

from transom import errors
from transom.plan import emptying
from transom.reconcile import effect as eff
from transom.reconcile import emptied
from transom.reconcile.steps import drain
from transom.ssh import pump

OK = pump.Completed(0, b"", b"")
CONFS = {
    "qemu/101": "name: plain",
    "qemu/102": "name: card\nhostpci0: 0000:01:00.0",
    "qemu/105": "name: served",
    "qemu/106": "name: pinned\nhostpci0: 0000:02:00.0",
}


class Host:
    """Runs four VMs, two of them under HA."""

    def __init__(self) -> None:
        self.running = set(CONFS)
        self.managed = {"qemu/105": "vm:105", "qemu/106": "vm:106"}
        self.maintenance = False
        self.asked: list[str] = []
        self.stuck: set[str] = set()

    def run(self, argv, **_) -> pump.Completed:
        line = " ".join(argv)
        self.asked.append(line)
        if line == emptied._TARGET:
            nodes = [{"node": "pve1", "status": "online"}, {"node": "pve2", "status": "online", "maxmem": 9, "mem": 1}]
            return dataclasses.replace(OK, stdout=json.dumps(nodes).encode())
        if found := re.fullmatch(r"ha-manager set vm:(\d+) --state stopped", line):
            self.running.discard(f"qemu/{found[1]}")
        elif line == "ha-manager crm-command node-maintenance enable pve1":
            self.maintenance = True
            self.running -= {guest for guest in self.managed if "hostpci" not in CONFS[guest]} - self.stuck
        elif found := re.fullmatch(r"qm migrate (\d+) pve2 --online", line):
            self.running.discard(f"qemu/{found[1]}")
        else:
            raise AssertionError(f"nobody runs {line} here")
        return OK

    def script(self, text, *_, **__) -> pump.Completed:
        if text != emptied._GUESTS:
            self.asked += text.splitlines()
            self.running -= {f"qemu/{vmid}" for vmid in re.findall(r"^qm shutdown (\d+) ", text, re.MULTILINE)}
            return OK
        services = {
            sid: {"node": "pve1", "state": "started"} for one, sid in self.managed.items() if one in self.running
        }
        status = {"node_status": {"pve1": "maintenance" if self.maintenance else "online"}, "service_status": services}
        resources = "".join(f"{sid.replace(':', ': ')}\n\n" for sid in self.managed.values())
        lines = [f"ran {guest}" for guest in self.running]
        lines += [f"conf {guest.replace('qemu', 'qemu-server')} {_packed(text)}" for guest, text in CONFS.items()]
        lines += [f"ha - {_packed(resources)}", f"status - {_packed(json.dumps(status))}"]
        return dataclasses.replace(OK, stdout="\n".join(lines).encode())


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def emptying_of(monkeypatch):
    """Empties a node; what was written down before each command."""
    kept = []
    monkeypatch.setattr(emptied, "read", lambda _: kept[-1] if kept else None)
    monkeypatch.setattr(emptied, "write", lambda _, record: kept.append(record))

    def run(host: Host, action: emptying.Drain) -> list:
        ticks = iter(range(0, 100000, 100))
        world = types.SimpleNamespace(
            node="pve1", host=host, say=lambda _: None, sleep=lambda _: None, monotonic=lambda: next(ticks)
        )
        drain.apply(action, eff.Effect(), world, eff.Context("run-1", "boot-1"))
        return kept

    return run


def test_ha_leaves_by_maintenance_and_what_cannot_move_is_shut_down(emptying_of):
    host = Host()
    kept = emptying_of(host, emptying.Drain(how="migrate", timeout=60))
    assert host.running == set()
    assert [line for line in host.asked if line != "wait" and line != emptied._TARGET] == [
        "ha-manager set vm:106 --state stopped",
        "ha-manager crm-command node-maintenance enable pve1",
        "qm migrate 101 pve2 --online",
        "qm shutdown 102 --timeout 60 --forceStop 1 &",
    ]
    assert set(kept[0].ran) == set(CONFS), "written down before anything was taken away"
    last = kept[-1]
    assert (last.maintenance, last.services, last.moved) == (True, {"vm:106": "started"}, {"qemu/101": "pve2"})


def test_a_service_that_ha_does_not_take_away_keeps_the_node_up(emptying_of):
    host = Host()
    host.stuck = {"qemu/105"}
    with pytest.raises(errors.Rejected, match="HA has not taken vm:105 off pve1"):
        emptying_of(host, emptying.Drain())
    assert "qemu/101" in host.running, "nothing else has been touched"
