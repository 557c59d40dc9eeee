"""`ha-manager` as far as emptying a node asks it: services of VMs, their wanted state, and maintenance. What the real manager does
in rounds of ten seconds is done at once; fencing, groups and priorities are not modelled.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence

from transom.lab.pve import access, files, neighbour, node, power, replies, runstate
from transom.lab.pve.tasks import Log

_SECTION = re.compile(r"^vm: (\d+)\n((?:[ \t].*\n)*)", re.MULTILINE)


class Manager:
    """The two files below /etc/pve/ha, as the manager of a lab node keeps them."""

    def __init__(self, here: node.Node, log: Log) -> None:
        self._here, self._log = here, log
        self._resources, self._status = here.place.etc / "ha/resources.cfg", here.place.etc / "ha/manager_status"
        raw = files.read(self._status)
        status = json.loads(raw) if raw else {}
        self._nodes: dict[str, str] = status.get("node_status", {here.name: "online"})

    def wanted(self) -> dict[int, str]:
        """VM id → state."""
        text = (files.read(self._resources) or b"").decode()
        found = {}
        for vmid, lines in _SECTION.findall(text):
            state = re.search(r"^\s+state (\w+)$", lines, re.MULTILINE)
            found[int(vmid)] = state[1] if state else "started"
        return found

    def set(self, vmid: int, state: str) -> None:
        wanted = self.wanted() | {vmid: state}
        text = "".join(f"vm: {one}\n\tstate {word}\n\n" for one, word in sorted(wanted.items()))
        files.write(self._resources, text.encode())
        self.round()

    def maintenance(self, name: str, *, on: bool) -> None:
        self._nodes[name] = "maintenance" if on else "online"
        self.round()

    def round(self) -> None:
        """Everything where it should be, and as it should be."""
        away = self._nodes.get(self._here.name) == "maintenance"
        services: dict[str, dict[str, str]] = {}
        for vmid, state in self.wanted().items():
            place = self._placed(vmid, away=away)
            if place == self._here.name and not (away and state == "started"):
                self._run(vmid, state)
            services[f"vm:{vmid}"] = {"node": place, "state": state}
        status = {"master_node": self._here.name, "node_status": self._nodes, "service_status": services}
        files.write(self._status, json.dumps(status).encode())

    def _placed(self, vmid: int, *, away: bool) -> str:
        """The node on which it is after this round."""
        here, others = self._here, neighbour.online(self._here)
        at = next((name for name in others if neighbour.there(here, name, vmid).exists()), here.name)
        if away and at == here.name and others and not self._stays(vmid):
            neighbour.leave(here, vmid, others[0])
            return others[0]
        if not away and at != here.name:
            neighbour.come_back(here, vmid, at, self._log)
            return here.name
        return at

    def _stays(self, vmid: int) -> bool:
        return any(key.startswith("hostpci") for key in self._here.load(vmid).main)

    def _run(self, vmid: int, state: str) -> None:
        runs = runstate.read(self._here.place, vmid) is not None
        if state == "started" and not runs:
            power.start(self._here, vmid, self._log)
        elif state == "stopped" and runs:
            power.stop(self._here, vmid, self._log)


def run(here: node.Node, argv: Sequence[str]) -> int:
    """``add|set vm:ID --state STATE``, ``crm-command node-maintenance enable|disable NODE``."""

    def work(log: Log) -> None:
        manager = Manager(here, log)
        match list(argv):
            case ["add" | "set", service, "--state", ("started" | "stopped") as state] if service.startswith("vm:"):
                manager.set(int(service.removeprefix("vm:")), state)
            case ["crm-command", "node-maintenance", ("enable" | "disable") as word, name]:
                manager.maintenance(name, on=word == "enable")
            case _:
                replies.die(f"ha-manager {' '.join(argv)} is not modelled")

    here.tasks.start("hamanager", "", access.ROOT, work)
    if here.tasks.last_error:
        print(here.tasks.last_error.rstrip("\n"), file=sys.stderr)
        return 255
    return 0
