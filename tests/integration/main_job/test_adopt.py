"""``transom adopt -o``: a node set up by hand becomes documents, and the plan of these is empty."""

from __future__ import annotations

import hashlib
import re
import socket

import pytest

CONF = """#notes of mine
args: -set device.hostpci0.addr=02.0
cores: 4
hostpci0: 00:02.0,legacy-igd=1,romfile=uhd.bin
machine: pc-i440fx-7.1
memory: 8192
name: Win11-iGD
net0: virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1
ostype: win11
smbios1: uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f
vga: none
vmgenid: 0f5e6a52-0000-4000-8000-000000000001
"""
ROM = b"U\xaa" + b"x" * 1000

OTHER = "cores: 2\nmemory: 1024\nname: other\nostype: l26\n"


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def by_hand(bench) -> None:
    root = bench.node.root
    (root / "etc/modprobe.d/vfio.conf").write_text("options vfio-pci ids=8086:9bc8\n")
    (root / "usr/share/kvm/uhd.bin").write_bytes(ROM)
    (root / "etc/pve/qemu-server/105.conf").write_text(CONF)


def test_a_node_set_up_by_hand_becomes_documents(bench):
    by_hand(bench)
    parts = bench.seed.read_text().split("---\n")
    base = bench.seed.parent / "base.yaml"
    base.write_text("---\n".join(part.split("  host:\n")[0] for part in parts[:2]))
    confs = bench.node.root / "etc/pve/qemu-server"
    (confs / "106.conf").write_text(OTHER)
    bench.node.ssh("qm start 106")
    (confs / "106.conf").write_text(f"{OTHER}vga: none\n")  # behind PVE's back
    (confs / "107.conf").write_text("ide2: local:iso/gone.iso,media=cdrom\nname: another\n")  # somebody has deleted it
    before, out = bench.files(), bench.folder / "out" / "found.yaml"
    out.parent.mkdir()
    done = bench.transom("adopt", "Node/pve1", "-f", str(base), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert bench.files() == before
    text, sha256 = out.read_text(), hashlib.sha256(ROM).hexdigest()
    assert "filename: uhd.bin" in text
    assert re.search(
        r"qemu/106/vga: is there, but not in effect \(the running QEMU was started with other", done.stdout
    )
    assert re.search(r"qemu/107/ide2: image-missing", done.stdout)
    assert (out.parent / f"uhd-{sha256[:12]}.rom").read_bytes() == ROM
    assert bench.transom("validate", "-f", str(out), "--strict").returncode == 0
    plan = bench.transom("plan", "-f", str(out), "--detailed-exitcode")
    assert plan.returncode == 0, plan.stdout
    again = bench.transom("adopt", "pve1", "-f", str(base), "-o", str(out))
    assert again.returncode == 1
    assert "nothing is overwritten" in again.stderr
    assert out.read_text() == text
    reused(bench, out)


def test_a_cluster_with_a_node_that_is_down(bench, closed_port):
    """What can be looked at is written, the other node is named, and nothing of it is guessed."""
    by_hand(bench)
    cluster, node = (part.split("  host:\n")[0] for part in bench.seed.read_text().split("---\n")[:2])
    down = re.sub(r"port: \d+", f"port: {closed_port}", node).replace("pve1", "pve2")
    assert down.count(str(closed_port)) == 1
    base, out = bench.folder / "base.yaml", bench.folder / "found.yaml"
    base.write_text("---\n".join([cluster, node, down]))
    name = re.search(r"cluster: (\S+)", node)
    assert name
    done = bench.transom("adopt", f"Cluster/{name[1]}", "-f", str(base), "-o", str(out))
    text = out.read_text()
    assert "pve2" in done.stdout + done.stderr
    assert "node pve2 could not be looked at" in text
    assert "name: pve2" not in text
    assert "vmid: 105" in text
    plan = bench.transom("plan", "-f", str(out), "--detailed-exitcode")
    assert plan.returncode == 0, plan.stdout


def reused(bench, out) -> None:
    """A person deletes the VM and makes another one under its id: told, and not touched."""
    path = bench.node.root / "etc/pve/qemu-server/105.conf"
    other = "name: router\nsmbios1: uuid=22222222-0b7d-4b3e-9a4f-2f6f0c1d2e3f\n"
    path.write_text(other)
    done = bench.transom("plan", "-f", str(out))
    assert done.returncode == 3
    assert "vm-reused" in done.stdout
    assert path.read_text() == other


def test_what_adopt_wants_to_know_is_asked_for(bench):
    assert bench.transom("adopt", "pve1").returncode == 64
    assert bench.transom("adopt", "pve1", "--take-over", "-o", "x.yaml").returncode == 64
    done = bench.transom("adopt", "999", "-f", str(bench.seed), "-o", str(bench.folder / "x.yaml"))
    assert done.returncode == 1
    assert "none of the nodes" in done.stderr
    assert not (bench.folder / "x.yaml").exists()
