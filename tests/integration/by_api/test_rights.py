"""A token with the rights of a VM's administrator, and none on ``/``: it keeps a node that is alone."""

from __future__ import annotations

import dataclasses

import pytest

from transom import errors
from transom.lab.pve import server, world


@pytest.fixture
def bench_without_audit(tmp_path, bench_of):
    """``pve1``, alone or in a cluster, and a token that may not see the quorum."""
    served = []

    def make(*cluster):
        state = world.lab_world(cluster=cluster)
        roles = {name: tuple(right for right in rights if right != "Sys.Audit") for name, rights in state.roles.items()}
        state = dataclasses.replace(state, roles=roles)
        (tmp_path / "token").write_text(state.credentials()["tokens"]["transom@pve!transom"])
        served.append(server.serve(state, tmp_path / "node", 0, node="pve1"))
        return bench_of(tmp_path, served[0])

    yield make
    for one in served:
        one.close()


def test_a_node_that_is_alone_is_kept(bench_without_audit):
    bench = bench_without_audit()
    bench.put()
    bench.apply()
    assert bench.plan().empty


def test_a_user_who_may_see_nothing_is_named_with_the_way_out(tmp_path, bench_of):
    state = dataclasses.replace(world.lab_world(), acl=())
    (tmp_path / "token").write_text(state.credentials()["tokens"]["transom@pve!transom"])
    served = server.serve(state, tmp_path / "node", 0, node="pve1")
    try:
        bench = bench_of(tmp_path, served)
        bench.put()
        said = str(bench.facts().states)
    finally:
        served.close()
    assert "transom@pve!transom may see none: it lacks VM.Audit everywhere" in said
    assert "`transom mint` grants it" in said


def test_a_node_that_the_api_does_not_know_is_said_with_those_that_it_has(bench_without_audit):
    bench = bench_without_audit()
    bench.put(node="  pve_node: pve7\n")
    with pytest.raises(errors.Rejected, match=r"knows no node pve7 .it has pve1. .set spec\.pve_node"):
        bench.plan()


def test_a_run_that_did_nothing_does_not_say_that_undo_takes_it_back(bench_without_audit):
    bench = bench_without_audit()
    bench.put()
    bench.here.place.path("etc/pve/.noquorum").touch()
    with pytest.raises(errors.TransomError):
        bench.apply()
    assert not any("takes back what it did" in line for line in bench.said)


def test_in_a_cluster_the_plan_is_held_and_names_the_right(bench_without_audit):
    bench = bench_without_audit("pve1", "pve2")
    bench.put()
    (found,) = [one for one in bench.plan().findings if one.holds]
    assert found.id == "right-missing"
    assert "Sys.Audit on /" in found.summary
    assert "transom mint" in found.remedy
