"""Many rings at once through the whole keeper: no overlap, no lost last state, nobody waits for a node that hangs."""

from __future__ import annotations

import threading

from patience import settled, until

BY = {"by": "eve"}


def test_a_thousand_rings_from_eight_threads(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    node = fleet.nodes["pve1"]
    asked = keeper.provision([fleet.documents()], approve=True, key="", **BY)
    assert settled(keeper, asked).state == "done"
    writing = threading.Lock()
    count = iter(range(1, 1001))

    def ring() -> None:
        while True:
            with writing:
                number = next(count, None)
                if number is None:
                    return
                node.set(100, memory=str(10_000 + number))
            keeper.scan("pve1", **BY)

    threads = [threading.Thread(target=ring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: [row.detail["observed"] for row in keeper.drift()] == ["11000"])
    until(lambda: not keeper.status()["under_way"])
    assert node.overlaps == 0
    assert node.looks < 1000  # rings of a node that is under way become one


def test_one_hanging_node_of_ten_keeps_nobody_from_its_interval(new_fleet):
    names = [f"pve{number}" for number in range(1, 11)]
    fleet = new_fleet(*names)
    keeper = fleet.open(scan_every=1.0, scan_jitter=0)
    keeper.provision([fleet.documents()], approve=False, key="", **BY)
    others = [node for name, node in fleet.nodes.items() if name != "pve4"]

    keeper.start()
    until(lambda: all(node.looks for node in fleet.nodes.values()))
    fleet.nodes["pve4"].hangs = threading.Event()
    until(lambda: "pve4" in keeper.status()["under_way"])
    seen = fleet.nodes["pve4"].looks
    before = {node.name: node.looks for node in others}
    until(lambda: all(node.looks >= before[node.name] + 4 for node in others))  # it hangs until it is let go
    assert "pve4" in keeper.status()["under_way"]
    fleet.nodes["pve4"].hangs.set()
    until(lambda: fleet.nodes["pve4"].looks > seen)
