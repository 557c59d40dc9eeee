"""An address that leads to another node of the same cluster: the API is right, the shell is not, and nothing may happen."""

from __future__ import annotations

import pathlib

import pytest

from transom import errors
from transom.lab import fleet


@pytest.fixture
def pair(tmp_path, bench_of):
    with fleet.start(tmp_path / "lab", nodes=2) as lab:
        yield bench_of(tmp_path, lab)


def misdirect(bench) -> None:
    """The document of pve1 gets the address and host key of pve2."""
    one, two = bench.lab.node("pve1"), bench.lab.node("pve2")
    text = bench.seed.read_text()
    bench.seed.write_text(text.replace(str(one.ssh_port), str(two.ssh_port)).replace(one.host_key, two.host_key))
    (two.root / "etc/pve/nodes/pve1/qemu-server").mkdir(parents=True)  # as pmxcfs shows it on every node


def state(node) -> tuple[int, list[pathlib.Path]]:
    tops = (node.root / "etc", node.root / "var/lib/transom", node.root / "usr/share/kvm")
    files = [path for top in tops for path in top.rglob("*") if path.suffix in (".conf", ".cfg", ".rom", ".json")]
    return node.boots, sorted(files)


def test_a_plan_is_held_and_a_run_is_refused(pair):
    misdirect(pair)
    before = [state(pair.lab.node(name)) for name in ("pve1", "pve2")]
    done = pair.transom("apply", "-f", str(pair.seed), "--yes")
    assert done.returncode == 3
    assert "[wrong-node]" in done.stdout
    service = pair.service()
    with pytest.raises(errors.Rejected, match="leads to node pve2, not to pve1"):
        service.apply(service.wish("pve1"), approved="any")
    service.close()
    assert [state(pair.lab.node(name)) for name in ("pve1", "pve2")] == before


def test_an_undo_is_refused(pair):
    run = pair.apply(pair.seed)
    misdirect(pair)
    service = pair.service()
    service.put([pair.seed])
    with pytest.raises(errors.Rejected, match="leads to node pve2"):
        service.propose_undo(run)
    service.close()
