"""What only somebody may hand in who may let changes happen."""

from __future__ import annotations

import pytest

from transom.spec import loader, reserved

CLUSTER = """apiVersion: transom/v1
kind: Cluster
metadata: {name: home}
spec:
  api:
    endpoints: ["https://192.0.2.11:8006"]
    token: {id: "transom@pve!transom", secret: {file: /etc/transom/token}}
    fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
  ssh: {key: {file: /etc/transom/key}}
"""
NODE = """apiVersion: transom/v1
kind: Node
metadata: {name: pve1, labels: {room: a}}
spec:
  cluster: home
  ssh:
    address: 192.0.2.11
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5
"""
VM = """apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: vm}
spec: {node: pve1, hardware: {memory: 2048}}
"""
POLICY = """apiVersion: transom/v1
kind: Policy
metadata: {name: room-b}
spec: {mode: enforce, selector: {labels: {room: b}}}
"""
ROM = """apiVersion: transom/v1
kind: Rom
metadata: {name: igd}
spec: {firmware: [{upload: UPLOAD}], devices: ["8086:9bc8"]}
""".replace("UPLOAD", "0" * 64)
STORED = (CLUSTER, NODE, VM, POLICY, ROM)


def parsed(*texts: str):
    return [item for text in texts for item in loader.parse(text, "fleet.yaml")]


def test_what_is_stored_already_is_nobodys_decision():
    assert reserved.reserved(parsed(*STORED), parsed(*STORED)) == ()


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (VM, "2048", "4096"),
        (NODE, "  cluster: home", "  host: {modules: [vfio]}\n  cluster: home"),
        (NODE, "{room: a}", "{room: c}"),
        (ROM, "9bc8", "9bc5"),
    ],
)
def test_what_a_plan_comes_of_is_an_operators(text, old, new):
    assert old in text
    assert reserved.reserved(parsed(text.replace(old, new)), parsed(*STORED)) == ()


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (CLUSTER, "192.0.2.11", "192.0.2.66", "Cluster/home says where secrets lie and to whom they are shown"),
        (CLUSTER, "/etc/transom/token", "/etc/other", "Cluster/home says where secrets lie and to whom they are shown"),
        (CLUSTER, "name: home", "name: evil", "Cluster/evil says where secrets lie and to whom they are shown"),
        (CLUSTER, "11:22", "11:23", "Cluster/home says where secrets lie and to whom they are shown"),
        (NODE, "address: 192.0.2.11", "address: 192.0.2.66", "Node/pve1 says where its cluster's secrets are used"),
        (NODE, "RXhhbXBsZ", "RXhhbXBsY", "Node/pve1 says where its cluster's secrets are used"),
        (NODE, "cluster: home", "cluster: other", "Node/pve1 says where its cluster's secrets are used"),
        (NODE, "name: pve1", "name: pve2", "Node/pve2 says where its cluster's secrets are used"),
        (NODE, "{room: a}", "{room: b}", "Node/pve1 comes under another Policy by its labels"),
        (POLICY, "enforce", "observe", "Policy/room-b says what is changed unasked"),
        (POLICY, "room-b", "all", "Policy/all says what is changed unasked"),
        (ROM, "[{upload: " + "0" * 64 + "}]", "[{file: /etc/shadow}]", "Rom/igd names files of Transom's own machine"),
    ],
)
def test_what_works_without_a_plan_is_an_approvers(text, old, new, said):
    changed = text.replace(old, new) if old in text else text.replace("IEV4YW1wbGU", "IEV4YW1wbGY")
    assert changed != text
    assert reserved.reserved(parsed(changed), parsed(*STORED)) == (said,)
