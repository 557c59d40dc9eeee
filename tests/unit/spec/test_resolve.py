"""What documents come to: the examples as golden values, and each rule of laying things over each other."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest

from transom import errors, model, resources
from transom.spec import bundle, loader, resolve, validate, wish

Wished = Callable[..., wish.NodeWish]
Document = Callable[[str, str, str], str]
EXAMPLES = sorted(resources.examples_dir().glob("*.yaml"))
IGD = "VirtualMachine/a (recipe igd-legacy-seabios 1)"


def recipe(name: str, modules: str) -> str:
    return (
        f"apiVersion: transom/v1\nkind: Recipe\nmetadata: {{name: {name}}}\n"
        f"spec: {{version: 3, title: t, host: {{modules: {modules}}}}}\n"
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples(example: pathlib.Path, golden: pathlib.Path) -> None:
    own = loader.parse(
        example.read_text(encoding="utf-8"), example.name, validate.Whereabouts("/documents", "/home/me")
    )
    found = resolve.resolve(loader.assemble(own, loader.shipped_recipes()))
    want = json.loads((golden / "resolve" / f"{example.stem}.json").read_text(encoding="utf-8"))
    assert [model.to_json(node) for node in found] == want
    assert tuple(model.from_json(wish.NodeWish, node) for node in want) == found


def test_the_seed_is_the_machine_of_the_article() -> None:
    (node,) = resolve.resolve(loader.load([resources.examples_dir() / "seed.yaml"]))
    (vm,) = node.guests
    assert {key: want.value for key, want in vm.config.items()} == {
        "agent": "1",
        "args": "-set device.hostpci0.addr=02.0 -set device.hostpci0.x-igd-gms=0x2 -set device.hostpci0.x-igd-opregion=on",
        "boot": "order=scsi0;net0",
        "cores": "6",
        "cpu": "host",
        "machine": "pc-i440fx-7.1",
        "memory": "8192",
        "name": "Win11-iGD",
        "net0": "virtio=F6:ED:C6:88:12:F6,bridge=vmbr0,firewall=1",
        "numa": "1",
        "ostype": "win11",
        "scsi0": "local-lvm:32,iothread=1,ssd=1",
        "scsihw": "virtio-scsi-single",
        "sockets": "1",
        "usb0": "host=046d:c07e",
        "usb1": "host=04d9:0295",
        "vga": "none",
    }
    assert vm.hostpci == {"legacy-igd": "1"}
    assert {key: [want.value for want in wants] for key, wants in node.host.items()} == {
        "kernel_cmdline": [
            "quiet",
            "intel_iommu=on",
            "iommu=pt",
            "pcie_acs_override=downstream,multifunction",
            "initcall_blacklist=sysfb_init",
        ],
        "modules": ["vfio", "vfio_iommu_type1", "vfio_pci", "vfio_virqfd"],
        "vfio_ids": ["8086:9bc8"],
        "blacklist": ["snd_hda_intel", "snd_hda_codec_hdmi", "i915"],
        "module_options": [],
        "sysctl": [],
    }


def test_access_takes_the_clusters_defaults_and_the_nodes_own(wished: Wished, base: str) -> None:
    access = wished().access
    assert (access.ssh_host, access.ssh_port, access.ssh_user) == ("192.0.2.11", 2222, "admin")
    assert access.ssh_key == wish.SecretRef(file="/home/me/.ssh/id")
    assert access.token_secret == wish.SecretRef(env="TOKEN")
    assert access.fingerprint == ":".join(["AB"] * 32)
    own = wished(base=base.replace("{address: 192.0.2.11,", "{address: pve1.example.org, port: 22, user: root,")).access
    assert (own.ssh_host, own.ssh_port, own.ssh_user) == ("pve1.example.org", 22, "root")


def test_devices_are_spelt_one_way(wished: Wished) -> None:
    assert wished().devices == {
        "igpu": wish.DeviceWish("igpu", "8086:9bc8", "1849:9bc8", "0000:00:02.0"),
        "nic": wish.DeviceWish("nic", "8086:15b8"),
    }


def test_recipe_under_hardware_under_media_under_raw(wished: Wished, document: Document) -> None:
    spec = """
  node: pve1
  recipe: igd-legacy-seabios
  device: igpu
  hardware: {vga: std, cores: 4, tags: [b, a], balloon: 0}
  media: {ide2: "local:iso/x.iso"}
  raw: {ide2: none, cores: 2, args: -nodefaults}"""
    (vm,) = wished(document("VirtualMachine", "a", spec)).guests
    assert vm.config["vga"] == wish.Want("std", "VirtualMachine/a")
    assert vm.config["cores"].value == "2"
    assert vm.config["ide2"].value == "none"
    assert vm.config["args"].value == "-nodefaults"
    assert vm.config["tags"].value == "b;a"
    assert vm.config["balloon"].value == "0"


def test_a_recipe_names_keys_of_a_newer_pve_and_the_vm_wins(wished: Wished, document: Document) -> None:
    newer = (
        "apiVersion: transom/v1\nkind: Recipe\nmetadata: {name: newer}\nspec:\n  version: 1\n  title: t\n  guest:\n"
        "    unlisted: [{key: gpu-slice, value: a=1, why: r, qemu: '>=12'}, {key: other-key, value: x, why: r}]\n"
    )
    spec = "{node: pve1, recipe: newer, unlisted: {other-key: y}}"
    (vm,) = wished(newer, document("VirtualMachine", "a", spec)).guests
    by_recipe = "VirtualMachine/a (recipe newer 1)"
    assert vm.config["gpu-slice"] == wish.Want("a=1", by_recipe, why="r", qemu=">=12")
    assert vm.config["other-key"] == wish.Want("y", "VirtualMachine/a")


@pytest.mark.parametrize(
    ("hardware", "key", "value"),
    [
        (
            "disks: {virtio1: {storage: local, size: 2T, discard: yes, cache: none}}",
            "virtio1",
            "local:2048,cache=none,discard=on",
        ),
        (
            "disks: {sata0: {storage: local, size: 8G, discard: no, ssd: false}}",
            "sata0",
            "local:8,discard=ignore,ssd=0",
        ),
        (
            "network: {net3: {model: e1000, bridge: vmbr1, tag: 20, firewall: 0}}",
            "net3",
            "e1000,bridge=vmbr1,firewall=0,tag=20",
        ),
        (
            "network: {net0: {model: virtio, bridge: b, mac: 'bc:24:11:00:00:0a'}}",
            "net0",
            "virtio=BC:24:11:00:00:0A,bridge=b",
        ),
        ("usb: [1-1.4, '046D:C07E']", "usb1", "host=046d:c07e"),
        ("usb: [1-1.4]", "usb0", "host=1-1.4"),
        ("agent: off", "agent", "0"),
        ("name: 123", "name", "123"),
    ],
)
def test_hardware_in_pves_syntax(wished: Wished, document: Document, hardware: str, key: str, value: str) -> None:
    (vm,) = wished(document("VirtualMachine", "a", f"{{node: pve1, hardware: {{{hardware}}}}}")).guests
    assert vm.config[key].value == value
    assert set(vm.config) - {key, "usb0"} == set()


def test_the_nodes_own_line_comes_first_and_needs_no_condition(wished: Wished, document: Document, base: str) -> None:
    vm = document("VirtualMachine", "a", "{node: pve1, recipe: igd-legacy-seabios, device: igpu}")
    own = base.replace(
        "  devices:", "  host: {kernel_cmdline: [iommu=pt, intel_iommu=on], vfio_ids: ['8086:15B8']}\n  devices:"
    )
    host = wished(vm, base=own).host
    assert [(want.value, want.document, want.kernel) for want in host["kernel_cmdline"]] == [
        ("iommu=pt", "Node/pve1", ""),
        ("intel_iommu=on", "Node/pve1", ""),
        ("initcall_blacklist=sysfb_init", IGD, ">=5.15"),
    ]
    assert [(want.value, want.document) for want in host["vfio_ids"]] == [
        ("8086:15b8", "Node/pve1"),
        ("8086:9bc8", IGD),
    ]


def test_a_want_without_condition_beats_one_with_in_its_place(wished: Wished, document: Document) -> None:
    node = wished(
        recipe("one", "[{value: vfio-virqfd, why: r, kernel: '<6.2'}, {value: vfio, why: r}]"),
        recipe("two", "[{value: vfio, why: other}, {value: vfio_virqfd, why: always}]"),
        document("VirtualMachine", "a", "{node: pve1, recipe: one}"),
        document("VirtualMachine", "b", "{node: pve1, recipe: two}"),
    )
    assert node.host["modules"] == (
        wish.Want("vfio_virqfd", "VirtualMachine/b (recipe two 3)", why="always"),
        wish.Want("vfio", "VirtualMachine/a (recipe one 3)", why="r"),
    )
    assert node.recipes == ("one 3", "two 3")


def test_different_conditions_are_settled_by_the_node(wished: Wished, document: Document, base: str) -> None:
    texts = [
        recipe("one", "[{value: vfio_virqfd, why: r, kernel: '<6.2'}]"),
        recipe("two", "[{value: vfio_virqfd, why: r, kernel: '<6.8'}]"),
        document("VirtualMachine", "a", "{node: pve1, recipe: one}"),
        document("VirtualMachine", "b", "{node: pve1, recipe: two}"),
    ]
    with pytest.raises(errors.SpecError, match="give it without a condition in Node/pve1"):
        wished(*texts)
    own = base.replace("  devices:", "  host: {modules: [vfio-virqfd]}\n  devices:")
    assert wished(*texts, base=own).host["modules"] == (wish.Want("vfio_virqfd", "Node/pve1"),)


def test_only_a_recipe_that_says_so_binds_the_device(wished: Wished, document: Document) -> None:
    node = wished(document("VirtualMachine", "a", "{node: pve1, device: nic}"))
    assert node.host["vfio_ids"] == ()
    assert node.guests[0].device == wish.DeviceWish("nic", "8086:15b8")
    assert node.guests[0].hostpci == {}


def test_refusals_and_rom(wished: Wished, document: Document) -> None:
    node = wished(
        document("VirtualMachine", "a", "{node: pve1, recipe: igd-legacy-seabios, device: igpu, rom: igd}"),
        document("Rom", "igd", f"{{file: ~/igd.rom, sha256: {'0' * 64}}}"),
    )
    (vm,) = node.guests
    assert vm.rom == wish.RomWish("igd", "/home/me/igd.rom", "0" * 64, "Rom/igd")
    assert vm.refusals[0].qemu == ">=9.2,<10.0"
    assert "8086:9b*" in vm.refusals[0].devices
    assert vm.recipe == "igd-legacy-seabios 1"


def policy(name: str, selector: str, mode: str) -> str:
    return f"apiVersion: transom/v1\nkind: Policy\nmetadata: {{name: {name}}}\nspec: {{selector: {selector}, mode: {mode}}}\n"


def test_the_narrowest_policy_holds(wished: Wished) -> None:
    everything = policy("all", "{}", "propose")
    glob = policy("glob", "{nodes: ['pve*']}", "propose")
    label = policy("label", "{labels: {site: attic}}", "enforce")
    other = policy("other", "{labels: {site: cellar}, nodes: [pve1]}", "enforce")
    name = policy("name", "{nodes: [pve1]}", "observe")
    assert wished().policy == wish.PolicyWish("observe", "")
    assert wished(everything, other).policy == wish.PolicyWish("propose", "Policy/all")
    assert wished(everything, glob).policy.document == "Policy/glob"
    assert wished(glob, label, everything).policy == wish.PolicyWish("enforce", "Policy/label")
    assert wished(glob, label, name).policy.document == "Policy/name"


def test_nodes_and_vms_keep_the_order_of_the_documents(
    bundled: Callable[..., bundle.Bundle], document: Document, base: str
) -> None:
    second = base.split("---\n")[1].replace("name: pve1", "name: alpha").replace("192.0.2.11", "192.0.2.12")
    vms = [document("VirtualMachine", name, "{node: alpha}") for name in ("z", "b", "m")]
    first, other = resolve.resolve(bundled(*vms, second))
    assert (first.name, other.name) == ("pve1", "alpha")
    assert [vm.name for vm in other.guests] == ["z", "b", "m"]
    assert first.guests == ()


def test_a_policys_windows_and_limits_are_carried(wished: Wished) -> None:
    text = """apiVersion: transom/v1
kind: Policy
metadata: {name: p}
spec:
  mode: enforce
  windows:
    - {cron: "0 22 * * sat", duration: 90m, timezone: Europe/Berlin}
    - {cron: "0 0 24-26 dec *", duration: 1d, timezone: UTC, deny: yes}
  limits: {impact: host-reboot, fleet_drift_percent: 50}
"""
    assert wished(text).policy == wish.PolicyWish(
        "enforce",
        "Policy/p",
        (
            wish.Window("0 22 * * sat", "90m", "Europe/Berlin"),
            wish.Window("0 0 24-26 dec *", "1d", "UTC", deny=True),
        ),
        wish.Limits(model.Impact.HOST_REBOOT, 50),
    )
