"""The daemon keeps a fleet: four nodes in two clusters converge, six breaks are put right by policy, one is refused, one waits for
approval, and a report tells what stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transom import resources
from transom.lab import breaks, fleet
from transom.lab.demo import asking, looking, serving, showing

DOCUMENT = "fleet/fleet.yaml"
"""Among the examples."""
SCAN, JITTER = 10, 1
SETTINGS = f"""\
# A demo is short: nodes are looked at every {SCAN} seconds instead of 300, and what newly differs waits at most so long for
# a look at the other nodes.
scan_every: {SCAN}
scan_jitter: {JITTER}
settle: {SCAN}
"""
BELIEVED = 3
"""How many of the four may newly differ within one scan before the breaker fleet-drift holds all (75 % in the document)."""

Wave = Sequence[tuple[str, str, str]]
"""What is broken at once: kind of break, node, and how the path begins that must be found to differ."""
WAVES: Sequence[Wave] = (
    (
        ("initramfs-stale", "pve2", "boot/initramfs"),
        ("vm-edited-in-ui", "pve1", "qemu/201/hostpci0"),
        ("rom-lost", "pve3", "rom/igd-"),
    ),
    (
        ("args-dropped", "pve2", "qemu/202/args"),
        ("grub-dropin-removed", "pve1", "host/kernel_cmdline/intel_iommu=on"),
        ("modprobe-edited", "pve3", "host/blacklist/i915"),
    ),
)
"""One break a node and wave: a second one during the run that repairs the first would rightly fail that run."""
REFUSED = ("second-blacklist", "pve3", "foreign-contradiction")
ASKED = ("vga-changed", "pve4", "qemu/204/vga")
WATCHED = ("etc/default", "etc/modprobe.d", "etc/modules-load.d", "etc/pve/nodes", "usr/share/kvm")
"""The files that breaks change; the initramfs holds times, and is judged by the driver that it leaves."""

Files = Mapping[str, list[bytes]]


class Keeping:
    """One showing. ``play`` raises VerifyFailed when anything is not as it must be."""

    def __init__(
        self,
        lab: fleet.Fleet,
        daemon: serving.Daemon,
        api: asking.Api,
        events: asking.Events,
        show: showing.Show,
    ) -> None:
        self._lab, self._daemon, self._api, self._events, self._show = lab, daemon, api, events, show
        self._right: dict[str, Files] = {}
        """Node → its files when it first was as declared."""
        self._since = 0
        """How many events were heard until then."""

    def play(self) -> None:
        self._converge()
        self._show.title("Six breaks, found and put right by policy, up to a reboot; nobody is asked")
        for wave in WAVES:
            self._repaired(wave)
        self._refused(*REFUSED)
        self._asked(*ASKED)
        self._report()

    # --- the acts ---

    def _converge(self) -> None:
        show, api = self._show, self._api
        show.title(
            "Converge: documents go in, with approval of exactly the first plan that comes of them for each node"
        )
        copy = self._lab.stage(resources.examples_dir() / DOCUMENT)
        show.say("POST /v1/documents?approve=plan")
        self._carried_out(api.hand_in(str(copy), copy.read_text())["id"], steps=False)
        for row in api.items("/v1/vms"):
            node = self._lab.node(row["node"])
            has = "\nhostpci0: 0000:00:02.0,legacy-igd=1,romfile=igd-" in looking.conf(node, row["vmid"])
            what = f"{node.name}: vfio-pci has the iGPU, for VM {row['vmid']} ({row['name']})"
            show.check(has and looking.driver(node) == "vfio-pci", what)
        self._right = {name: self._files(name) for name in self._lab.nodes}
        self._since = len(show.heard)

    def _repaired(self, wave: Wave) -> None:
        known, heard = {run["id"] for run in looking.runs(self._api)}, len(self._show.heard)
        nodes = sorted({node for _, node, _ in wave})
        if wave is not WAVES[0]:
            self._show.plain("")
        self._make_room(*nodes)
        for kind, node, _ in wave:
            self._break(kind, node)
        self._scan(*nodes)
        found = "what was broken is found to differ"
        self._follow(lambda: all(self._told(heard, node, path) for _, node, path in wave), found)
        self._follow(lambda: all(self._as_declared(node) for node in nodes), f"{', '.join(nodes)} are put right")
        fresh = [run for run in looking.runs(self._api) if run["id"] not in known]
        unasked = {run["node"] for run in fresh if run["kind"] == "enforce"}
        self._show.check(unasked == set(nodes), f"put right by policy on {', '.join(nodes)}")
        for node in nodes:
            self._check_right(node)

    def _refused(self, kind: str, node: str, finding: str) -> None:
        show, known = self._show, looking.runs(self._api)
        show.title("One that Transom may not put right alone: a line of somebody else's contradicts")
        self._make_room(node)
        self._break(kind, node)
        broken = self._files(node)
        self._scan(node)
        self._follow(lambda: looking.state(self._api, node) == "held", f"{node} is held")
        stands = [row["detail"] for row in looking.drifts(self._api, node, "finding")]
        holds = [one for one in stands if one["id"] == finding and one["holds"] and one["evidence"]]
        show.check(bool(holds), f"{node} is held by {finding}")
        same = self._files(node) == broken and looking.runs(self._api) == known
        show.check(same, f"{node}: no run began, no file was touched")

    def _asked(self, kind: str, node: str, path: str) -> None:
        show, heard = self._show, len(self._show.heard)
        show.title(f"One on {node}, where every plan waits for approval")
        self._make_room(node)
        self._break(kind, node)
        broken = self._files(node)
        self._scan(node)
        self._follow(lambda: self._told(heard, node, path), "what was broken is found to differ")
        self._follow(lambda: bool(looking.waiting(self._api, node)), f"a plan for {node} waits")
        (row,) = looking.waiting(self._api, node)
        plan = self._api.get(f"/v1/plans/{row['hash']}")
        show.say(f"GET /v1/plans/{plan['hash']}: {row['summary']}")
        for drift in plan["drifts"]:
            show.say(f"      {drift['path']}: {drift['observed']} → {drift['desired']}, wanted by {drift['document']}")
        show.check(self._files(node) == broken, f"{node}: nothing is changed yet")
        show.say(f"POST /v1/plans/{plan['hash']}/approve")
        self._carried_out(self._api.post(f"/v1/plans/{plan['hash']}/approve")["id"])
        self._check_right(node)

    def _report(self) -> None:
        show = self._show
        show.title("Report: the runs (GET /v1/runs)")
        for run in reversed(looking.runs(self._api)):
            why = "by policy" if run["kind"] == "enforce" else "approved"
            show.plain(f"{run['id']}  {why}  {run['state']} in {run['ended_at'] - run['started_at']:4.1f} s")
        show.title("Report: what stands (GET /v1/drift, as text/markdown)")
        show.plain(self._api.markdown("/v1/drift").rstrip())
        show.title("Report: the daemon (GET /v1/status)")
        status = self._api.get("/v1/status")
        nodes = ", ".join(f"{count} {state}" for state, count in status["nodes"].items())
        tripped = ", ".join(status["fleet_drift"] or ()) or "no"
        show.plain(f"nodes: {nodes}; paused: {status['paused'] or 'no'}; fleet-drift: {tripped}")
        show.check(status["nodes"] == {"as-declared": 3, "held": 1}, "three nodes are as declared, one is held")

    # --- doing ---

    def _make_room(self, *nodes: str) -> None:
        """Waits until so few other nodes have newly differed within one scan that the breaker fleet-drift is not called for."""
        if self._crowded(nodes):
            self._show.say(
                f"(a moment: more than {BELIEVED} nodes that newly differ within one scan would hold the fleet)"
            )
            self._follow(lambda: not self._crowded(nodes), "an earlier scan is over")

    def _crowded(self, nodes: Sequence[str]) -> bool:
        begin = time.time() - SCAN - JITTER - 1
        return len(newly_differ(self._show.heard[self._since :], begin) | set(nodes)) > BELIEVED

    def _break(self, kind: str, node: str) -> None:
        self._show.say(f"$ transom lab break {kind} {node}")
        self._show.say(f"      {breaks.find(kind).apply(self._lab, self._lab.node(node))}")

    def _scan(self, *nodes: str) -> None:
        self._show.say(" ".join(f"POST /v1/nodes/{node}/scan" for node in nodes))
        for node in nodes:
            self._api.post(f"/v1/nodes/{node}/scan")

    def _carried_out(self, operation: str, *, steps: bool = True) -> None:
        path = f"/v1/operations/{operation}"
        self._follow(lambda: self._api.get(path)["state"] != "running", f"{operation} is done", steps=steps)
        ended = self._api.get(path)
        self._show.check(
            ended["state"] == "done",
            f"{operation} is done on {', '.join(sorted(share['node'] for share in ended['shares']))}",
        )

    def _follow(self, done: Callable[[], bool], what: str, *, steps: bool = True) -> None:
        self._show.follow(self._daemon, self._events, done, what, steps=steps)

    # --- looking ---

    def _told(self, heard: int, node: str, path: str) -> bool:
        """Whether an event since the first ``heard`` told of a difference there."""
        told = (event for event in self._show.heard[heard:] if event["node"] == node)
        return any(event["kind"] == "drift.appeared" and event["data"]["key"].startswith(path) for event in told)

    def _as_declared(self, node: str) -> bool:
        return looking.state(self._api, node) == "as-declared" and not looking.drifts(self._api, node)

    def _files(self, node: str) -> Files:
        return looking.lines(self._lab.node(node).root, WATCHED)

    def _check_right(self, node: str) -> None:
        now, before = self._files(node), self._right[node]
        differ = [path for path in {*now, *before} if now.get(path) != before.get(path)]
        good = not differ and looking.driver(self._lab.node(node)) == "vfio-pci"
        self._show.check(
            good, f"{node}: vfio-pci has the iGPU, and files have their lines again {' '.join(differ)}".rstrip()
        )


def newly_differ(heard: Sequence[Mapping[str, Any]], begin: float) -> set[str]:
    """The nodes of which a difference was told after ``begin``."""
    return {event["node"] for event in heard if event["kind"] == "drift.appeared" and event["at"] > begin}
