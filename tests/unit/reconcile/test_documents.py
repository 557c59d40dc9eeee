"""Documents that do not fit together: they are not stored, and those that got there all the same can be mended."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest

from patience import settled
from transom import errors
from transom.reconcile import backend

BY = {"by": "eve"}
NODE = """apiVersion: transom/v1
kind: Node
metadata: {name: pve9}
spec: {cluster: spare}
"""


def test_what_was_checked_is_what_is_stored(new_fleet, monkeypatch):
    """A document goes between the check and the writing of another one that needs it: one of the two is refused."""
    fleet = new_fleet()
    keeper = fleet.start()
    spare = fleet.documents().text.split("---\n")[0].replace("name: home", "name: spare")
    keeper.provision([fleet.documents(), backend.Text("s.yaml", spare)], approve=False, key="", **BY)
    asks, began = keeper._asks, []
    provisioned = asks._provisioned

    def release() -> None:
        with contextlib.suppress(errors.TransomError):
            keeper.release("Cluster/spare", **BY)

    def late(*args, **options):
        found = provisioned(*args, **options)
        began.append(threading.Thread(target=release))
        began[0].start()
        began[0].join(0.3)
        return found

    monkeypatch.setattr(asks, "_provisioned", late)
    keeper.provision([backend.Text("n.yaml", NODE)], approve=False, key="", **BY)
    began[0].join(30)
    assert {row.name for row in keeper.nodes()} == {"pve1", "pve9"}
    assert any(one["metadata"]["name"] == "spare" for one in keeper.documents())


def test_a_daemon_starts_with_documents_that_do_not_fit_and_takes_those_that_mend_them(new_fleet):
    fleet = new_fleet()
    keeper = fleet.start()
    settled(keeper, keeper.provision([fleet.documents()], approve=True, key="", **BY), "done")
    kept = fleet.keepers[-1][1]
    lost = next(one for one in kept.documents() if one["document"]["kind"] == "Cluster")
    broken = json.loads(json.dumps(lost).replace("home", "gone"))
    node = next(one for one in kept.documents() if one["document"]["kind"] == "Node")
    node["document"]["spec"]["cluster"] = "away"
    kept.put_documents([broken, node], 1.0)
    fleet.stop()
    keeper = fleet.start()
    assert "away" in keeper.ready()["documents"]
    with pytest.raises(errors.SpecError, match="away"):
        keeper.nodes()
    fleet.nodes["pve1"].set(100, memory="512")
    asked = keeper.provision([fleet.documents()], approve=True, key="", **BY)
    settled(keeper, asked, "done")
    assert (keeper.ready()["documents"], fleet.nodes["pve1"].get(100, "memory")) == ("ok", "2048")
