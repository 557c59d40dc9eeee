"""Several nodes: clusters, their API, VMs of others, documents, and starting the same lab again."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE
from transom import errors, resources
from transom.lab import fleet
from transom.spec import loader


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.Fleet]:
    with fleet.start(tmp_path_factory.mktemp("fleet") / "lab", nodes=3, clusters=2, vms=2) as running:
        yield running


def call(lab: fleet.Fleet, name: str, path: str, *, form: str = "") -> Any:
    """The API's data, asked with the token; urllib.error.HTTPError when it refuses."""
    node = lab.node(name)
    token = lab.token_file(node.hardware.cluster).read_text().strip()
    headers = {"Authorization": f"PVEAPIToken=transom@pve!transom={token}"}
    data = form.encode() or None
    request = urllib.request.Request(f"{node.url}/api2/json{path}", data, headers, method="PUT" if form else "GET")
    context = ssl.create_default_context(cadata=ssl.get_server_certificate(("127.0.0.1", node.api_port)))
    with urllib.request.urlopen(request, context=context, timeout=PATIENCE) as answer:
        return json.load(answer)["data"]


def test_nodes_are_dealt_out_over_clusters(lab: fleet.Fleet) -> None:
    assert lab.clusters() == {"home": ("pve1", "pve3"), "home2": ("pve2",)}
    assert {one["node"] for one in call(lab, "pve1", "/nodes")} >= {"pve1", "pve3"}


def test_one_certificate_and_one_token_for_a_cluster_another_for_the_next(lab: fleet.Fleet) -> None:
    one, other, third = (lab.node(name).fingerprint for name in ("pve1", "pve2", "pve3"))
    assert one == third != other
    assert lab.token_file("home").read_text() != lab.token_file("home2").read_text()
    assert lab.token_file("home").stat().st_mode & 0o777 == 0o600


def test_each_node_has_its_vms_and_another_of_the_cluster_answers_for_it(lab: fleet.Fleet) -> None:
    assert {one["vmid"] for one in call(lab, "pve1", "/nodes/pve1/qemu")} == {1000, 1001}
    assert {one["vmid"] for one in call(lab, "pve1", "/nodes/pve3/qemu")} == {1200, 1201}
    assert lab.node("pve3").ssh("qm config 1200").splitlines()[-2:] == [
        "net0: virtio=02:00:00:00:00:00,bridge=vmbr0",
        "ostype: l26",
    ]


def test_the_token_may_not_set_what_only_root_may(lab: fleet.Fleet) -> None:
    with pytest.raises(urllib.error.HTTPError, match="only root can set 'args' config"):
        call(lab, "pve1", "/nodes/pve1/qemu/1000/config", form="args=-no-reboot")
    call(lab, "pve1", "/nodes/pve1/qemu/1000/config", form="cores=2")
    assert "\ncores: 2\n" in (lab.node("pve1").root / "etc/pve/qemu-server/1000.conf").read_text()


def test_a_staged_folder_loads(lab: fleet.Fleet) -> None:
    folder = lab.stage(resources.examples_dir())
    for copy in sorted(folder.glob("*.yaml")):
        assert loader.load([copy])
    assert f"port: {lab.node('pve1').ssh_port}\n" in (folder / "seed.yaml").read_text()


def test_an_unknown_node_is_named_with_those_that_there_are(lab: fleet.Fleet) -> None:
    with pytest.raises(errors.Rejected, match="it has pve1, pve2, pve3"):
        lab.node("pve9")


def test_a_folder_has_one_lab_at_a_time(lab: fleet.Fleet) -> None:
    with pytest.raises(errors.Busy, match="a lab is running in"):
        fleet.start(lab.folder)


def test_the_same_folder_is_the_same_lab_again(tmp_path: Path) -> None:
    with fleet.start(tmp_path / "lab", flavour="pve9") as lab:
        node = lab.node("pve1")
        before = (node.ssh_port, node.api_port, node.host_key, node.fingerprint, lab.token_file("home").read_text())
        node.ssh("echo kept >/etc/kept")
        assert node.ssh("uname -r; ls /sys/class/iommu") == "6.14.8-2-pve\ndmar0\n"
    with fleet.start(tmp_path / "lab") as lab:
        node = lab.node("pve1")
        after = (node.ssh_port, node.api_port, node.host_key, node.fingerprint, lab.token_file("home").read_text())
        assert after == before
        assert node.ssh("cat /etc/kept; uname -r") == "kept\n6.14.8-2-pve\n"


def test_other_nodes_than_the_folder_has_are_refused(tmp_path: Path) -> None:
    with fleet.start(tmp_path / "lab"):
        pass
    with pytest.raises(errors.Rejected, match=r"holds a lab of pve1 \(home\)"):
        fleet.start(tmp_path / "lab", nodes=2)
    with fleet.start(tmp_path / "lab", nodes=1) as lab:
        assert list(lab.nodes) == ["pve1"]
