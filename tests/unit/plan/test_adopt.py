"""Documents from what exists: whatever a node has, the next plan is empty, and nothing is dropped without a word."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import re
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

from transom import errors, model, resources
from transom.guest import conf, identity, registry
from transom.plan import make
from transom.plan.adopt import express, find, settle, text
from transom.plan.adopt import sheet as sheets
from transom.spec import bundle, loader, resolve

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("vmconfs", HERE / "vmconfs.py")
assert spec is not None
assert spec.loader is not None
vmconfs = importlib.util.module_from_spec(spec)
sys.modules["vmconfs"] = vmconfs
spec.loader.exec_module(vmconfs)

SEED = (resources.examples_dir() / "seed.yaml").read_text()
BASE = "---\n".join(SEED.split("---\n")[:2]).split("  host:\n")[0]
HAND = {
    "/etc/modprobe.d/vfio.conf": "options vfio-pci ids=8086:9bc8\nblacklist i915\n",
    "/etc/modules": "vfio\nvfio_pci\n",
    "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=on iommu=pt"\nGRUB_CMDLINE_LINUX=""\n',
}
OWN = re.compile(r"unused\d+|digest|meta|vmgenid|parent|vmstate|snap\w+|running\w+")


def documents(text: str = BASE) -> bundle.Bundle:
    return loader.assemble(loader.parse(text, "base.yaml"), loader.shipped_recipes())


def adopt(facts: model.Facts, docs: bundle.Bundle | None = None, *, host: bool = True, ledger=None) -> settle.Settled:
    docs = docs or documents()
    (node,) = resolve.resolve(docs)
    (item,) = [one for one in docs.own if one.kind == "Node"]
    sheet = find.find(item, docs, facts, node, vmids=None, host=host)
    return settle.settle(sheet, docs, facts, ledger or {})


def written(settled: settle.Settled, docs: bundle.Bundle | None = None) -> str:
    clusters = [one for one in (docs or documents()).own if one.kind == "Cluster"]
    return text.header(clusters, "pve1") + text.node(settled.sheet, {}, ())


def planned(yaml: str, facts: model.Facts):
    (node,) = resolve.resolve(loader.assemble(loader.parse(yaml, "adopted.yaml"), loader.shipped_recipes()))
    return make.make(node, facts, {})


def by_hand(node) -> None:
    for path, content in HAND.items():
        node.write(path, content)
    for step in model.Step:
        node.step(step)
    node.reboot()
    node.roms.update({"hand.rom": "a" * 64, "vbios.bin": "b" * 64})


def test_passthrough_made_by_hand(desk):
    by_hand(desk.node)
    desk.node.guests[105] = (
        "args: -set device.hostpci0.addr=02.0\nhostpci0: 00:02.0,legacy-igd=1,romfile=hand.rom\nname: Win11\n"
        "memory: 8192\nvga: none\nusb0: host=046d:c07e\nscsi0: local-lvm:vm-105-disk-0,size=32G,backup=0\n"
        "smbios1: uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f\n"
    )
    facts = desk.node.facts()
    settled = adopt(facts)
    assert not settled.rest
    yaml = written(settled)
    assert planned(yaml, facts).empty
    (vm,) = settled.sheet.kept
    assert settled.sheet.vm_spec(vm)[0] == {
        "node": "pve1",
        "vmid": 105,
        "identity": "smbios:1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f",
        "device": "igpu",
        "hostpci": {"legacy-igd": "1"},
        "rom": "hand",
        "hardware": {
            "disks": {"scsi0": {"backup": False, "size": "32G", "storage": "local-lvm"}},
            "memory": 8192,
            "name": "Win11",
            "usb": ["046d:c07e"],
            "vga": "none",
        },
        "raw": {
            "args": "-set device.hostpci0.addr=02.0",
            "smbios1": "uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f",
        },
    }
    assert {(item.setting, item.value) for item in settled.sheet.items if settled.sheet.has(item.path)} >= {
        ("kernel_cmdline", "intel_iommu=on"),
        ("vfio_ids", "8086:9bc8"),
        ("modules", "vfio_pci"),
    }
    assert "filename: hand.rom" in yaml
    assert "8086:9bc8:1849:9bc8  # 0000:00:02.0, class 030000, driver vfio-pci" in yaml


MAPPED = "node=pve1,path=0000:00:02.0,id=8086:9bc8,subsystem-id=1849:9bc8"
OTHERS = "node=pve2,path=0000:05:00.0,id=8086:9bc8"


def mapped_facts(desk, *entries: str, checks: tuple[str, ...] = ()) -> model.Facts:
    by_hand(desk.node)
    desk.node.guests = {105: "hostpci0: mapping=igpu,pcie=1,romfile=hand.rom\nmachine: q35\nname: a\n"}
    maps = {"igpu": model.PciMapping("igpu", entries, "d1", checks), "zz": model.PciMapping("zz", entries, "d1")}
    facts = desk.node.facts()
    return dataclasses.replace(facts, mappings=maps, packages={"pve-manager": "9.0.3", "pve-qemu-kvm": "10.0.2-1"})


def test_a_mapping_goes_into_the_nodes_devices(desk):
    facts = mapped_facts(desk, OTHERS, MAPPED)
    settled = adopt(facts)
    (device,) = [one for one in settled.sheet.devices if one.address == "0000:00:02.0"]
    assert device.spec == {"id": "8086:9bc8:1849:9bc8", "mapping": "igpu"}
    (vm,) = settled.sheet.kept
    spec = settled.sheet.vm_spec(vm)[0]
    assert (spec["device"], spec["hostpci"], spec["rom"]) == ("igpu", {"pcie": "1"}, "hand")
    assert "raw" not in spec
    assert planned(written(settled), facts).empty


@pytest.mark.parametrize(
    "entries",
    [
        (MAPPED, MAPPED.replace("02.0", "1f.3")),  # a pool
        (MAPPED.replace("8086:9bc8", "8086:3e92"),),  # it is another device's
    ],
)
def test_a_mapping_that_a_device_could_not_say_stays_raw(desk, entries):
    facts = mapped_facts(desk, *entries)
    settled = adopt(facts)
    assert all(not one.mapping for one in settled.sheet.devices)
    (vm,) = settled.sheet.kept
    assert settled.sheet.vm_spec(vm)[0].get("raw", {}).get("hostpci0") == "mapping=igpu,pcie=1,romfile=hand.rom"
    assert planned(written(settled), facts).empty


def test_a_mapping_that_pve_finds_wrong_is_left_out_with_the_reason(desk):
    settled = adopt(mapped_facts(desk, MAPPED, checks=("invalid",)))
    assert settled.sheet.left["qemu/105/hostpci0"].startswith("mapping-invalid")


def test_a_mapping_without_an_entry_for_the_node_is_left_out_with_the_reason(desk):
    facts = mapped_facts(desk, OTHERS)
    settled = adopt(facts)
    assert "mapping-not-here" in settled.sheet.left["qemu/105/hostpci0"]
    assert planned(written(settled), facts).empty


def test_one_vm_by_mapping_and_one_by_address(desk):
    facts = mapped_facts(desk, MAPPED)
    desk.node.guests[106] = "hostpci0: 0000:00:02.0\nname: b\n"
    facts = dataclasses.replace(facts, guests=desk.node.facts().guests, states=desk.node.facts().states)
    settled = adopt(facts)
    one, other = settled.sheet.kept
    assert (one.device, other.device) == ("igpu", "")
    assert planned(written(settled), facts).empty


def test_it_is_the_same_text_each_time(desk):
    by_hand(desk.node)
    desk.node.guests |= {105: "name: a\ntags: x\n", 106: "name: a\nnet0: virtio,bridge=vmbr0\n"}
    facts = desk.node.facts()
    assert written(adopt(facts)) == written(adopt(facts))
    assert {vm.name for vm in adopt(facts).sheet.kept} == {"a", "a-106"}


def test_what_transom_made_is_found_again_by_its_recipe(desk):
    """The seed applied and then its documents lost: the recipe fits in every line, and the VM keeps its document's name."""
    (node,) = resolve.resolve(loader.assemble(loader.parse(SEED, "seed.yaml"), loader.shipped_recipes()))
    desk.apply(node)
    facts = desk.node.facts()
    settled = adopt(facts)
    (vm,) = settled.sheet.kept
    assert (vm.name, vm.recipe, vm.device, dict(vm.options)) == ("win11-igd", "igd-legacy-seabios", "igpu", {})
    assert planned(written(settled), facts).empty


def test_what_is_not_in_effect_is_left_out_with_the_reason(desk):
    desk.node.write("/etc/modules", "vfio_pci\n")
    settled = adopt(desk.node.facts())
    assert "not in effect" in settled.sheet.left["host/modules/vfio_pci"]
    assert "left out: modules/vfio_pci (/etc/modules:1)" in written(settled)


def test_secrets_stay_where_they_are(desk):
    desk.node.guests[105] = "cipassword: $5$salt$hash\nargs: -object secret,id=s,data=hunter2\ncores: 2\n"
    yaml = written(adopt(desk.node.facts()))
    assert "hash" not in yaml
    assert "hunter2" not in yaml
    assert "left out: 105/args" in yaml
    assert "left out: 105/cipassword" in yaml


def test_declared_vms_are_not_written_again(desk):
    docs = documents(SEED)
    (node,) = resolve.resolve(docs)
    desk.apply(node)
    desk.node.guests[105] = "name: other\n"
    settled = adopt(desk.node.facts(), docs, ledger=desk.ledger)
    assert [vm.vmid for vm in settled.sheet.kept] == [105]


def test_what_could_not_be_read_cannot_be_written_down(desk):
    facts = dataclasses.replace(desk.node.facts(), guests=model.Unknown("no answer"))
    with pytest.raises(errors.Rejected, match="no answer"):
        adopt(facts)


def test_a_locked_vm_is_left_out_and_the_others_are_not(desk):
    desk.node.guests |= {105: "name: a\nlock: backup\n", 106: "name: b\n"}
    settled = adopt(desk.node.facts())
    assert [vm.vmid for vm in settled.sheet.kept] == [106]
    assert "locked" in settled.sheet.left["qemu/105"]
    assert "qemu/105/lock" not in settled.sheet.left


def test_releasing_an_adopted_document_leaves_everything(desk):
    """There is no ledger line for what was there before: nothing that a document named is taken away with it."""
    desk.node.guests[105] = "name: a\nmemory: 512\nsmbios1: uuid=1e5a7c1e-0b7d-4b3e-9a4f-2f6f0c1d2e3f\n"
    before = desk.node.guests[105]
    yaml = written(adopt(desk.node.facts()))
    (node,) = resolve.resolve(loader.assemble(loader.parse(yaml, "a.yaml"), loader.shipped_recipes()))
    desk.apply(node)
    desk.apply(dataclasses.replace(node, guests=(), host={}))
    assert desk.node.guests[105] == before
    changed = yaml.replace("memory: 512", "memory: 1024")
    (more,) = resolve.resolve(loader.assemble(loader.parse(changed, "a.yaml"), loader.shipped_recipes()))
    desk.apply(more)
    assert conf.parse(desk.node.guests[105]).persisted()["memory"] == "1024"
    (fewer,) = resolve.resolve(
        loader.assemble(loader.parse(changed.replace("    memory: 1024\n", ""), "a.yaml"), loader.shipped_recipes())
    )
    desk.apply(fewer)
    assert conf.parse(desk.node.guests[105]).persisted()["memory"] == "512"


@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(content=vmconfs.texts(), running=st.booleans())
def test_any_vm_can_be_adopted_and_the_plan_is_empty(desk, content, running):
    if "hand.rom" not in desk.node.roms:
        by_hand(desk.node)
    desk.node.guests = {105: content}
    desk.node.running = {105} if running else set()
    facts = desk.node.facts()
    settled = adopt(facts, host=False)
    assert not settled.rest
    yaml = written(settled)
    plan = planned(yaml, facts)
    assert plan.empty, (plan.drifts, plan.gates)
    accounted(settled.sheet, yaml, conf.parse(content))


def accounted(sheet: sheets.Sheet, yaml: str, there: conf.GuestConf) -> None:
    """Every key is either in the document, meaning the same, or said to be left out."""
    if "qemu/105" in sheet.left:
        assert "VM 105: " in yaml
        return
    (node,) = resolve.resolve(loader.assemble(loader.parse(yaml, "t"), loader.shipped_recipes()))
    (guest,) = node.guests
    persisted = there.persisted()
    for key, value in persisted.items():
        if OWN.fullmatch(key) or (key == "description" and not identity.unmark(value)):
            continue
        if key == "tags" and not identity.unmark_tags(value):
            continue
        if key in guest.config:
            assert registry.field_for(key).same(guest.config[key].value, value)
        elif key == "hostpci0" and guest.device:
            continue
        else:
            assert f"left out: 105/{key}: " in yaml
    assert guest.config.keys() <= persisted.keys() | {"hostpci0"}


@pytest.mark.parametrize("key", sorted(vmconfs.VALUES))
def test_every_value_is_said_with_the_same_meaning_or_not_at_all(key):
    for value in vmconfs.VALUES[key]:
        said = express.express({key: value})
        parts = said.parts
        assert (key in said.left) + sum(bool(part) for part in parts.values()) == 1, (key, value, said)


@pytest.mark.parametrize(
    ("key", "value", "part", "said"),
    [
        (
            "scsi0",
            "local-lvm:vm-105-disk-0,aio=native,backup=0,cache=none,discard=on,iothread=1,size=32G",
            "disks",
            {"aio": "native", "backup": False, "cache": "none", "discard": True, "iothread": True,
             "size": "32G", "storage": "local-lvm"},
        ),
        (
            "net0",
            "virtio=BC:24:11:2A:0F:01,bridge=vmbr0,rate=12.5",
            "network",
            {"bridge": "vmbr0", "mac": "BC:24:11:2A:0F:01", "model": "virtio", "rate": "12.5"},
        ),
    ],
)  # fmt: skip
def test_options_that_documents_have_fields_for_are_not_raw(key, value, part, said):
    parts = express.express({key: value}).parts
    assert parts["hardware"] == {part: {key: said}}
    assert not parts["raw"]


def test_a_driver_that_is_not_known_is_said_in_words(desk):
    facts = desk.node.facts()
    unread = tuple(dataclasses.replace(one, driver=model.Unknown("no SSH")) for one in facts.pci)
    yaml = written(adopt(dataclasses.replace(facts, pci=unread)))
    assert "driver not known" in yaml
    assert "Unknown(" not in yaml
