"""Which rights documents need, by version, and the commands that grant them."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from transom.plan import mint, rights
from transom.spec import loader, resolve, wish

HEAD = """
apiVersion: transom/v1
kind: Cluster
metadata: {name: home}
spec:
  api:
    endpoints: [https://192.0.2.11:8006]
    token: {id: transom@pve!main, secret: {env: TOKEN}}
    fingerprint: PRINT
  ssh: {key: {env: KEY}}
---
apiVersion: transom/v1
kind: Node
metadata: {name: pve1}
spec:
  cluster: home
  ssh:
    address: 192.0.2.11
    host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGUga2V5OiBwdXQgeW91ciBob3N0J3Mga2V5
  devices: {igpu: {id: "8086:9bc8"}}
---
apiVersion: transom/v1
kind: VirtualMachine
metadata: {name: a}
spec:
  node: pve1
""".replace("PRINT", ":".join(["AA"] * 32))


@pytest.fixture
def nodes(tmp_path: pathlib.Path):
    def make(text: str) -> tuple[wish.NodeWish, ...]:
        (tmp_path / "a.yaml").write_text(HEAD + text)
        return resolve.resolve(loader.load([tmp_path / "a.yaml"]))

    return make


def told(needs: tuple[rights.Need, ...]) -> set[tuple[str, str]]:
    return {(need.path, need.privilege) for need in needs}


ALWAYS = {
    ("/", "Sys.Audit"), ("/vms", "VM.Audit"), ("/vms/100", "VM.Audit"), ("/vms/100", "VM.Allocate"),
    ("/vms/100", "VM.PowerMgmt"), ("/vms/100", "VM.Config.Options"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ("{}", set()),
        ("{hardware: {cores: 2, memory: 64, machine: q35, name: x}}",
         {("/vms/100", "VM.Config.CPU"), ("/vms/100", "VM.Config.Memory"), ("/vms/100", "VM.Config.HWType")}),
        ("{hardware: {disks: {scsi0: {storage: fast, size: 8G}}}}",
         {("/vms/100", "VM.Config.Disk"), ("/storage/fast", "Datastore.AllocateSpace")}),
        (
            "{media: {ide2: 'local:iso/x.iso'}}",
            {("/vms/100", "VM.Config.CDROM"), ("/vms/100", "VM.Config.Disk"), ("/storage/local", "Datastore.Audit")},
        ),
        ("{raw: {ide2: 'none,media=cdrom'}}", {("/vms/100", "VM.Config.CDROM"), ("/vms/100", "VM.Config.Disk")}),
        ("{raw: {ide2: 'fast:cloudinit', ciuser: me}}",
         {("/vms/100", "VM.Config.CDROM"), ("/vms/100", "VM.Config.Cloudinit"),
          ("/storage/fast", "Datastore.AllocateSpace")}),
        ("{raw: {efidisk0: 'fast:1,efitype=4m'}}",
         {("/vms/100", "VM.Config.Disk"), ("/storage/fast", "Datastore.AllocateSpace")}),
        ("{hardware: {network: {net0: {model: virtio, bridge: vmbr0}, net1: {model: e1000, bridge: vmbr1, tag: 7}}}}",
         {("/vms/100", "VM.Config.Network"), ("/sdn/zones/localnetwork/vmbr0", "SDN.Use"),
          ("/sdn/zones/localnetwork/vmbr1/7", "SDN.Use")}),
        ("{raw: {hostpci1: 'mapping=gpu,pcie=1'}}",
         {("/vms/100", "VM.Config.HWType"), ("/mapping/pci/gpu", "Mapping.Use")}),
        ("{raw: {startup: 'order=1'}}", {("/", "Sys.Modify")}),
        ("{raw: {args: '-x', hookscript: 'local:snippets/a', hostpci1: '00:1f.3', usb3: 'host=1-1'}}", set()),
    ],
)  # fmt: skip
def test_needs(nodes, spec, more):
    wanted = nodes(f"  vmid: 100\n  {spec[1:-1]}\n" if spec != "{}" else "  vmid: 100\n")
    assert told(rights.needs(wanted, "9.1")) == ALWAYS | more


def test_names_by_version(nodes):
    wanted = nodes(
        "  vmid: 100\n  hardware: {agent: true, network: {net0: {model: virtio, bridge: vmbr0}}}\n"
        "  raw: {usb0: mapping=stick}\n"
    )
    found = {
        version: {need.privilege for need in rights.needs(wanted, version, agent=True)}
        for version in ("7.3", "7.4-17", "8", "8.4.1", "9.0", "9.2.11", "10.0")
    }
    for version, names in found.items():
        assert ("SDN.Use" in names) == ("Mapping.Use" in names) == (version[0] != "7")
        assert ("VM.Monitor" in names) == (version[0] in "78")
        assert ("VM.GuestAgent.Audit" in names) == (version in ("9.0", "9.2.11", "10.0"))
    assert "VM.GuestAgent.Audit" not in {need.privilege for need in rights.needs(wanted, "9.2")}


def test_a_vm_without_a_number_may_get_any(nodes):
    needs = rights.needs(nodes("  hardware: {cores: 2}\n"), "9.0")
    assert {need.path for need in needs} == {"/", "/vms"}
    assert ("/vms", "VM.Config.CPU") in told(needs)


def test_every_need_says_why_and_for_whom(nodes):
    for need in rights.needs(nodes("  vmid: 100\n  hardware: {cores: 2}\n"), "9.0"):
        assert need.why
        assert need.document == ("VirtualMachine/a" if need.path == "/vms/100" else "")


def test_what_serves_as_well():
    need = rights.Need("/storage/x", "Datastore.Audit", "", "", ("Datastore.AllocateSpace",))
    assert need.met({"Datastore.AllocateSpace"})
    assert need.met({"Datastore.Audit", "x"})
    assert not need.met({"VM.Audit"})


def test_root_only_keys_are_told(nodes):
    wanted = nodes("  vmid: 100\n  device: igpu\n  raw: {args: -x, usb0: spice}\n")
    assert rights.root_only(wanted) == {"VirtualMachine/a": ("args", "hostpci0")}


def test_a_deeper_entry_holds_what_the_one_above_gives(nodes):
    """PVE takes the deepest entry of a path alone, so that one must be whole."""
    wanted = nodes("  vmid: 100\n---\n" + HEAD.rpartition("---\n")[2].replace("name: a", "name: b"))
    by_path = {grant.path: grant for grant in mint.grants(rights.needs(wanted, "9.0"))}
    assert set(by_path["/vms"].privileges) <= set(by_path["/vms/100"].privileges)
    assert by_path["/vms"].propagate
    assert not by_path["/"].propagate


def test_what_is_granted_on_all_mappings_is_granted_on_each():
    needs = (rights.Need("/mapping/pci", "Mapping.Modify", ""), rights.Need("/mapping/pci/gpu", "Mapping.Use", ""))
    found = {grant.path: (grant.privileges, grant.propagate) for grant in mint.grants(needs)}
    assert found == {
        "/mapping/pci": (("Mapping.Modify",), True),
        "/mapping/pci/gpu": (("Mapping.Modify", "Mapping.Use"), False),
    }


def test_without_a_shell_the_api_tells_of_the_host(nodes):
    (node,) = nodes("  vmid: 100\n")
    alone = dataclasses.replace(node, access=dataclasses.replace(node.access, ssh_host=""))
    assert told(rights.needs([alone], "9.0")) - told(rights.needs([node], "9.0")) == {("/nodes/pve1", "Sys.Audit")}


def test_vms_that_need_the_same_share_a_role(nodes):
    more = HEAD.rpartition("---\n")[2]
    wanted = nodes(
        "  vmid: 100\n---\n" + more.replace("name: a", "name: b") + "  vmid: 101\n---\n"
        + more.replace("name: a", "name: c") + "  vmid: 102\n  hardware: {cores: 2}\n"
    )  # fmt: skip
    roles = {grant.path: grant.role for grant in mint.grants(rights.needs(wanted, "9.0"))}
    assert roles == {
        "/": "TransomCluster", "/vms": "TransomVms", "/vms/100": "TransomVm", "/vms/101": "TransomVm",
        "/vms/102": "TransomVm2",
    }  # fmt: skip


def test_commands_of_a_token_a_user_and_roots_token():
    grants = mint.grants((rights.Need("/", "Sys.Audit", "see"),))
    assert [line for line in mint.commands(grants, "transom@pve!main") if not line.startswith("#")] == [
        "pveum role add TransomCluster --privs Sys.Audit || pveum role modify TransomCluster --privs Sys.Audit",
        "pveum user add transom@pve --comment Transom",
        "pveum user token add transom@pve main --privsep 1",
        "pveum acl modify / --users transom@pve --tokens 'transom@pve!main' --roles TransomCluster --propagate 0",
    ]
    assert not any("token" in line for line in mint.commands(grants, "a@pve") if not line.startswith("#"))
    assert mint.commands(grants, "root@pam!x")[-1] == (
        "pveum acl modify / --tokens 'root@pam!x' --roles TransomCluster --propagate 0"
    )
    assert not any("user add" in line for line in mint.commands(grants, "root@pam!x"))


def test_the_same_documents_give_the_same_lines(nodes):
    wanted = nodes("  vmid: 100\n  hardware: {cores: 2}\n")
    again = [dataclasses.replace(node, guests=tuple(reversed(node.guests))) for node in wanted]
    lines = [mint.commands(mint.grants(rights.needs(one, "9.0")), "a@pve!b") for one in (wanted, again)]
    assert lines[0] == lines[1]
