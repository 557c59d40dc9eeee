"""Without a daemon: a node that is somebody else's is not changed, and ours is told to the others."""

from __future__ import annotations

import json
import shutil

import pytest

from patience import until
from transom import daemon, errors
from transom.reconcile import lease


def held_by(bench) -> dict[str, object]:
    return json.loads(bench.text(lease.PATH))


def test_a_lease_is_written_kept_to_and_refused_to_others(bench):
    run = bench.apply(bench.seed)
    first = held_by(bench)
    bench.seed.write_text(bench.seed.read_text().replace("memory: 8192", "memory: 4096"))
    bench.apply(bench.seed)
    second = held_by(bench)
    assert (second["fleet"], second["instance"]) == (first["fleet"], first["instance"])
    assert second["generation"] > first["generation"]
    before = bench.files()

    # a copy of the state that is at work elsewhere, and what it changed is not in our store
    copy = bench.folder / "copy"
    shutil.copytree(bench.state, copy)
    (bench.node.root / lease.PATH.lstrip("/")).write_text(
        json.dumps(second | {"generation": second["generation"] + 10, "life": "other"})
    )
    bench.seed.write_text(bench.seed.read_text().replace("memory: 4096", "memory: 2048"))
    done = bench.transom("apply", "-f", str(bench.seed), "--yes")
    assert (done.returncode, "[lease-other]" in done.stdout) == (3, True), done.stderr
    assert bench.transom("undo", run, "--yes").returncode == 1

    # another fleet altogether
    bench.state = bench.folder / "stranger"
    done = bench.transom("apply", "-f", str(bench.seed), "--yes")
    assert (done.returncode, "[lease-foreign]" in done.stdout) == (3, True), done.stderr
    service = bench.service()
    with pytest.raises(errors.Rejected, match=f"fleet {first['fleet']} keeps this node"):
        service.apply(service.wish("pve1"), approved="any")
    service.close()
    assert bench.files() == before


def test_a_daemon_goes_on_from_a_lease_that_was_written_without_it(bench):
    bench.apply(bench.seed)
    with daemon.open_keeper(bench.state) as keeper:
        until(lambda: keeper.nodes()[0].state == "as-declared")
        assert keeper.status()["paused"] is None
        service = bench.service()
        with pytest.raises(errors.Busy, match="a daemon works on"):
            service.apply(service.wish("pve1"), approved="any")
        service.close()
    bench.seed.write_text(bench.seed.read_text().replace("memory: 8192", "memory: 4096"))
    bench.apply(bench.seed)
