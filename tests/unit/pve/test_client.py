"""What each call sends, and what it makes of PVE's answers."""

from __future__ import annotations

import httpx
import pytest

from transom import errors, model, pve

DIGEST = "d7f27a49305867aa70fe730ca12ae9cb6006cc9f"
UPID = "UPID:pve1:00001234:0001E240:65A0B1C2:qmstart:700:root@pam!tok:"


def test_version_and_nodes(api, fake):
    fake.answers["GET /version"] = {"version": "9.2.11", "release": "9.2", "repoid": "x"}
    fake.answers["GET /nodes"] = [{"node": "pve2", "status": "offline"}, {"node": "pve1", "status": "online"}]
    assert api.version() == "9.2.11"
    assert api.nodes() == (pve.Node("pve1", True), pve.Node("pve2", False))


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([{"type": "node", "name": "pve1", "online": 1}], pve.ClusterStatus("", True)),
        ([{"type": "node"}, {"type": "cluster", "name": "c", "quorate": 1}], pve.ClusterStatus("c", True)),
        ([{"type": "cluster", "name": "c", "quorate": 0}], pve.ClusterStatus("c", False)),
        ([{"type": "cluster", "name": "c"}], pve.ClusterStatus("c", False)),
    ],
)
def test_quorum(api, fake, rows, want):
    fake.answers["GET /cluster/status"] = rows
    assert api.cluster_status() == want


@pytest.mark.parametrize("nodes", [["pve1"], ["pve1", "pve2"]])
def test_a_token_that_may_not_see_the_quorum_knows_it_of_a_node_that_is_alone(api, fake, nodes):
    fake.answers["GET /cluster/status"] = httpx.Response(403, json={"message": "Permission check failed"})
    fake.answers["GET /nodes"] = [{"node": name, "status": "online"} for name in nodes]
    if len(nodes) == 1:
        assert api.cluster_status() == pve.ClusterStatus("", True)
    else:
        with pytest.raises(errors.Denied, match="Permission check failed"):
            api.cluster_status()


def test_guests(api, fake):
    fake.answers["GET /nodes/pve1/qemu"] = [
        {"vmid": 700, "status": "stopped", "name": "base", "lock": "backup"},
        {"vmid": "701", "status": "running"},
    ]
    assert api.guests("pve1") == {
        700: model.GuestState(700, "stopped", "backup"),
        701: model.GuestState(701, "running"),
    }


def test_no_guests_and_nothing_to_see_are_not_the_same(api, fake):
    fake.answers["GET /nodes/pve1/qemu"] = []
    fake.answers["GET /nodes/pve1/storage"] = []
    fake.answers["GET /access/permissions"] = {"/vms": {"VM.Audit": 1}, "/storage": {"Datastore.Audit": 1}}
    assert api.guests("pve1") == {}
    assert api.storages("pve1") == frozenset()
    fake.answers["GET /access/permissions"] = {"/vms": {"VM.PowerMgmt": 1}}
    with pytest.raises(errors.Denied, match=r"lacks VM\.Audit"):
        api.guests("pve1")
    with pytest.raises(errors.Denied, match=r"Datastore\.Audit"):
        api.storages("pve1")


def test_storages_are_the_active_ones(api, fake):
    fake.answers["GET /nodes/pve1/storage"] = [
        {"storage": "local", "active": 1, "enabled": 1},
        {"storage": "nfs", "active": 0, "enabled": 1},
        {"storage": "lvm", "active": "1"},
    ]
    assert api.storages("pve1") == {"local", "lvm"}


def test_permissions(api, fake):
    fake.answers["GET /access/permissions"] = {"/vms/700": {"VM.Audit": 1, "VM.Allocate": 1}}
    assert api.permissions() == {"/vms/700": frozenset({"VM.Audit", "VM.Allocate"})}


def test_config_as_text_with_its_digest(api, fake):
    fake.answers["GET /nodes/pve1/qemu/700/config"] = {
        "vcpus": 1, "balloon": 0, "memory": "512", "digest": DIGEST, "boot": " ", "cpulimit": 1.5,
        "description": "line one\nline two %",
    }  # fmt: skip
    values, digest = api.config("pve1", 700)
    assert digest == DIGEST
    assert values == {
        "vcpus": "1", "balloon": "0", "memory": "512", "boot": " ", "cpulimit": "1.5",
        "description": "line one\nline two %",
    }  # fmt: skip
    api.config("pve1", 700, current=True)
    assert [asked.query for asked in fake.asked] == [{}, {"current": ["1"]}]


def test_pending(api, fake):
    fake.answers["GET /nodes/pve1/qemu/700/pending"] = [
        {"pending": "-x", "key": "args"},
        {"value": DIGEST, "key": "digest"},
        {"value": 0, "key": "kvm"},
        {"key": "memory", "value": "64", "pending": "128"},
        {"delete": 1, "key": "onboot", "value": 1},
        {"delete": 2, "key": "hookscript", "value": "local:snippets/x"},
    ]
    found, digest = api.pending("pve1", 700)
    assert digest == DIGEST
    assert found == (
        pve.Pending("args", None, "-x"),
        pve.Pending("kvm", "0"),
        pve.Pending("memory", "64", "128"),
        pve.Pending("onboot", "1", delete=True),
        pve.Pending("hookscript", "local:snippets/x", delete=True),
    )


def test_status_tells_lock_and_qemu(api, fake):
    fake.answers["GET /nodes/pve1/qemu/701/status/current"] = {
        "status": "running", "lock": "backup", "running-qemu": "9.2.0", "vmid": 701,
    }  # fmt: skip
    assert api.status("pve1", 701) == model.GuestState(701, "running", "backup", "9.2.0")


def test_create_sends_what_pve_takes(api, fake):
    fake.answers["POST /nodes/pve1/qemu"] = UPID
    values = {
        "onboot": True,
        "kvm": False,
        "name": None,
        "memory": 64,
        "tags": ["a", "b"],
        "args": "-x 'a b'",
        "none": [],
    }
    assert api.create("pve1", 702, values) == UPID
    (asked,) = fake.asked
    assert asked.form == {
        "vmid": ["702"], "onboot": ["1"], "kvm": ["0"], "memory": ["64"], "tags": ["a", "b"], "args": ["-x 'a b'"],
    }  # fmt: skip


def test_update_is_one_put_under_one_digest(api, fake):
    fake.answers["PUT /nodes/pve1/qemu/700/config"] = None
    api.update("pve1", 700, values={"cores": 2, "description": "ü & =\n"}, delete=["args", "usb0"], digest=DIGEST)
    api.update("pve1", 700, revert=("memory",), digest=DIGEST)
    assert [asked.form for asked in fake.asked] == [
        {"cores": ["2"], "description": ["ü & =\n"], "delete": ["args,usb0"], "digest": [DIGEST]},
        {"revert": ["memory"], "digest": [DIGEST]},
    ]


def test_power(api, fake):
    for verb in ("start", "stop", "shutdown", "reboot"):
        fake.answers[f"POST /nodes/pve1/qemu/701/status/{verb}"] = UPID
    api.start("pve1", 701)
    api.stop("pve1", 701)
    api.shutdown("pve1", 701, seconds=60, force=True)
    api.shutdown("pve1", 701)
    api.reboot("pve1", 701, seconds=30)
    assert [asked.form for asked in fake.asked] == [
        {},
        {},
        {"timeout": ["60"], "forceStop": ["1"]},
        {},
        {"timeout": ["30"]},
    ]


def test_what_is_no_upid_is_garbled(api, fake):
    fake.answers["POST /nodes/pve1/qemu/701/status/start"] = None
    with pytest.raises(errors.Garbled, match="UPID"):
        api.start("pve1", 701)


@pytest.mark.parametrize(("told", "want"), [("100", 100), (101, 101)])
def test_nextid(api, fake, told, want):
    fake.answers["GET /cluster/nextid"] = told
    assert api.nextid() == want


@pytest.mark.parametrize("told", [None, "", "-1", "x", {}, []])
def test_nextid_garbled(api, fake, told):
    fake.answers["GET /cluster/nextid"] = told
    with pytest.raises(errors.Garbled):
        api.nextid()


@pytest.mark.parametrize("node", ["", "..", "a/b", "pve1?x=1", "-a", "a b", "pve1#"])
def test_names_that_would_change_the_path_are_not_sent(api, fake, node):
    with pytest.raises(ValueError, match="not a node's name"):
        api.config(node, 100)
    assert fake.asked == []


def test_answers_of_another_shape_are_garbled(api, fake):
    fake.answers["GET /nodes/pve1/qemu"] = [{"vmid": "x", "status": "running"}]
    fake.answers["GET /nodes"] = {"node": "pve1"}
    fake.answers["GET /nodes/pve1/qemu/700/pending"] = [{"key": "name", "value": "x"}]
    fake.answers["GET /nodes/pve1/qemu/700/status/current"] = {"name": "x"}
    for call in (
        lambda: api.guests("pve1"),
        api.nodes,
        lambda: api.pending("pve1", 700),
        lambda: api.status("pve1", 700),
    ):
        with pytest.raises(errors.Garbled):
            call()
