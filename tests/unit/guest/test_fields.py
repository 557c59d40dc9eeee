"""Every field by its golden table, and the laws that hold for all. Adding a case is one line of ``golden/fields/*.json``."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import hypothesis
import pytest
from hypothesis import strategies as st

from transom.guest import props, registry
from transom.guest.fields import boot, devices, disks, hostpci, machine, net, usb

ROOT = pathlib.Path(__file__).parents[3]


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    wanted: str
    observed: str
    same: bool
    merged: str | None = None
    route: str | None = None


ROWS = [
    Row(**row)
    for file in sorted((ROOT / "tests" / "golden" / "guest" / "fields").glob("*.json"))
    for row in json.loads(file.read_text())
]
SCHEMAS = {
    "hostpci0": hostpci.SCHEMA,
    "usb0": usb.SCHEMA,
    "net0": net.SCHEMA,
    "scsi0": disks.DRIVE,
    "efidisk0": disks.EFI,
    "tpmstate0": disks.TPM,
    "machine": machine.MACHINE,
    "cpu": machine.CPU,
    "vga": machine.VGA,
    "memory": machine.MEMORY,
    "smbios1": machine.SMBIOS,
    "boot": boot.SCHEMA,
    "rng0": devices.RNG,
    "startup": devices.STARTUP,
}
SAMPLES = {
    props.boolean: st.sampled_from(["0", "1", "yes", "off"]),
    props.integer: st.integers(1, 64).map(str),
    props.number: st.sampled_from(["40", "48.0"]),
    props.size: st.sampled_from(["4M", "32G", "32768M"]),
}
WORDS = {
    "host": ["0000:00:02.0", "00:02.0", "01:00"],
    "macaddr": ["F6:ED:C6:88:12:F6", "f6:ed:c6:88:12:f7"],
    "model": ["virtio", "e1000"],
    "file": ["local-lvm:32", "local-lvm:vm-1-disk-0", "fast:8"],
    "media": ["disk"],
    "discard": ["ignore", "on"],
    "driver": ["vfio", "keep"],
    "efitype": ["2m", "4m"],
    "version": ["v1.2", "v2.0"],
    "viommu": ["intel"],
    "vendor-id": ["0x8086"],
    "device-id": ["0x9bc8"],
    "sub-vendor-id": ["0x1849"],
    "sub-device-id": ["0x9BC8"],
    "order": ["1"],
    "base64": ["0"],
}


@st.composite
def values(draw: st.DrawFn, key: str) -> str:
    """A value that PVE accepts for ``key``, in any order, with or without the default key's name."""
    schema = SCHEMAS[key]
    words = {**WORDS, "host": ["046d:c07e", "1-1.4", "SPICE"]} if key == "usb0" else WORDS
    names = draw(st.lists(st.sampled_from(sorted(schema.props)), unique=True, max_size=5))
    if schema.needs and not set(names) & set(schema.needs):
        names.append(schema.needs[0])
    parts = []
    for name in draw(st.permutations(names)):
        given_words = st.sampled_from(words.get(name, ["alpha", "beta"]))
        value = draw(SAMPLES.get(schema.props[name].normal, given_words))
        bare = name == schema.default_key and draw(st.booleans())
        parts.append(value if bare else f"{name}={value}")
    return ",".join(parts)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str, str]:
    key = draw(st.sampled_from(sorted(SCHEMAS)))
    return key, draw(values(key)), draw(values(key))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.key}-{row.wanted}-{row.observed}")
def test_golden(row: Row) -> None:
    field = registry.field_for(row.key)
    assert field.same(row.wanted, row.observed) is row.same
    if row.merged is not None:
        assert field.merge(row.wanted, row.observed) == row.merged
    if row.route is not None:
        assert field.route(row.wanted).value == row.route


@pytest.mark.parametrize("name", [field.name for field in registry.FIELDS])
def test_each_field_has_a_case_that_differs_one_that_does_not_a_route_and_a_line_in_the_docs(name: str) -> None:
    rows = [row for row in ROWS if registry.field_for(row.key).name == name]
    assert {row.same for row in rows} == {True, False}
    assert any(row.route for row in rows)
    assert f"`{name}" in (ROOT / "docs" / "vm-fields.md").read_text()


@pytest.mark.parametrize("key", sorted({row.key for row in ROWS}))
def test_no_two_fields_own_a_key(key: str) -> None:
    assert len([field for field in registry.FIELDS if field.key.fullmatch(key)]) == 1


@hypothesis.given(pairs())
def test_a_value_is_the_same_as_itself(pair: tuple[str, str, str]) -> None:
    key, value, _ = pair
    assert registry.field_for(key).same(value, value)


@hypothesis.given(pairs())
@hypothesis.example(("net0", "bridge=alpha,queues=alpha,model=virtio", "macaddr=F6:ED:C6:88:12:F6,model=virtio"))
def test_what_is_merged_and_written_is_as_wanted(pair: tuple[str, str, str]) -> None:
    key, wanted, observed = pair
    field = registry.field_for(key)
    hypothesis.assume(
        key not in {"scsi0", "efidisk0", "tpmstate0"}
        or not disks.obstacle(wanted, observed, name=key[:-1] if key != "scsi0" else "disk")
    )
    merged = field.merge(wanted, observed)
    hypothesis.assume(
        not any(new in merged for new in ("local-lvm:32", "fast:8"))
    )  # a disk still to be made is not there
    assert field.same(wanted, merged) or merged == observed


@hypothesis.given(pairs())
def test_merging_again_changes_nothing(pair: tuple[str, str, str]) -> None:
    key, wanted, observed = pair
    field = registry.field_for(key)
    merged = field.merge(wanted, observed)
    assert field.merge(merged, observed) == merged


@hypothesis.given(pairs())
def test_sameness_goes_both_ways_where_the_server_makes_nothing(pair: tuple[str, str, str]) -> None:
    key, one, other = pair
    hypothesis.assume(not SCHEMAS[key].made and key not in {"scsi0", "efidisk0", "tpmstate0"})
    field = registry.field_for(key)
    assert field.same(one, other) == field.same(other, one)


@hypothesis.given(st.sampled_from(sorted({row.key for row in ROWS})), st.text(max_size=30), st.text(max_size=30))
def test_comparing_never_raises(key: str, one: str, other: str) -> None:
    field = registry.field_for(key)
    assert field.same(one, one)
    field.same(one, other)
    field.merge(one, other)
    field.route(one)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("hostpci0", "0000:00:02.0,foo=1", "no property 'foo'"),
        ("hostpci0", "0000:00:02.0, legacy-igd=1", "no property ' legacy-igd'"),
        ("hostpci0", "garbage", "not a PCI address"),
        ("hostpci0", "legacy-igd=1", "host or mapping is missing"),
        ("hostpci0", "00:02.0,00:03.0", "host is given twice"),
        ("hostpci0", "00:02.0,legacy-igd=maybe", "legacy-igd: 'maybe' is not 0 or 1"),
        ("usb0", "host=046d", "not vendor:product"),
        ("net0", "virtio=F6:ED", "not a MAC address"),
        ("scsi0", "local-lvm:32,size=big", "not a size"),
        ("cores", "x", "not a whole number"),
        ("bios", "uefi", "none of seabios, ovmf"),
        ("args", "-name 'x", "not closed"),
        ("smbios1", "base64=1,serial=!", "not Base64"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        registry.field_for(key).parse(value)


@pytest.mark.parametrize(
    ("wanted", "observed", "says"),
    [
        ("local-lvm:64", "local-lvm:vm-1-disk-0,size=32G", "has 32 GiB, not 64"),
        ("fast:32", "local-lvm:vm-1-disk-0,size=32G", "lies on local-lvm, not on fast"),
        ("local-lvm:32", "local-lvm:vm-1-disk-0,size=32G", ""),
        ("local-lvm:16", "local-lvm:vm-1-disk-0,size=32G", ""),
        ("local-lvm:32", "none,media=cdrom", ""),
        ("none,media=cdrom", "local-lvm:vm-1-disk-0,size=32G", "would be detached"),
        ("local:iso/x.iso,media=cdrom", "local-lvm:vm-1-disk-0", "would be detached"),
        ("local-lvm:vm-1-disk-1", "local-lvm:vm-1-disk-0,size=32G", "would be detached"),
        ("local-lvm:cloudinit", "local-lvm:vm-1-disk-0,size=32G", "would be detached"),
        ("local-lvm:vm-1-disk-0,ssd=1", "local-lvm:vm-1-disk-0,size=32G", ""),
        ("local:iso/x.iso,media=cdrom", "local:iso/y.iso,media=cdrom", ""),
        ("none,media=cdrom", "local-lvm:vm-1-cloudinit,media=cdrom", ""),
        ("local-lvm:32", "size=wrong", ""),
    ],
)
def test_what_only_a_resize_or_a_move_can_do(wanted: str, observed: str, says: str) -> None:
    found = disks.obstacle(wanted, observed)
    assert says in found
    assert bool(found) == bool(says)


@pytest.mark.parametrize("name", ["efidisk", "tpmstate"])
def test_a_small_disk_is_not_pushed_out_of_its_place_either(name: str) -> None:
    option = "efitype=4m" if name == "efidisk" else "version=v2.0"
    there = f"local-lvm:vm-1-disk-0,{option},size=4M"
    assert "would be detached" in disks.obstacle(f"local-lvm:vm-1-disk-7,{option}", there, name=name)
    assert not disks.obstacle(f"local-lvm:1,{option}", there, name=name)


def test_unknown_keys_are_plain_text_and_roots_alone() -> None:
    field = registry.field_for("brand-new")
    assert field.same("a", "a")
    assert not field.same("a", "A")
    assert field.route("a").value == "root"


def test_a_token_may_not_replace_what_it_may_not_set() -> None:
    assert registry.route("hostpci0", "mapping=igpu").value == "api"
    assert registry.route("hostpci0", "mapping=igpu", "0000:00:02.0").value == "root"


def test_what_is_given_away_without_a_function_covers_all_functions() -> None:
    assert hostpci.read("0000:01:00").covers("0000:01:00.1")
    assert not hostpci.read("0000:01:00.0").covers("0000:01:00.1")
    assert hostpci.read("0000:01:00").multifunction
    assert not hostpci.read("01:00.0").multifunction


def test_the_switches_of_a_given_device() -> None:
    plain = hostpci.read("00:02.0")
    assert (plain.rombar, plain.pcie, plain.x_vga, plain.legacy_igd) == (True, False, False, False)
    turned = hostpci.read("mapping=igpu,rombar=0,pcie=1,x-vga=on,legacy-igd=yes,romfile=a.rom,mdev=x")
    assert (turned.rombar, turned.pcie, turned.x_vga, turned.legacy_igd) == (False, True, True, True)
    assert (turned.addresses, turned.mapping, turned.romfile, turned.mdev) == ((), "igpu", "a.rom", "x")


def test_what_pve_applies_to_a_running_vm_at_once() -> None:
    keys = {row.key for row in ROWS}
    live = {key for key in keys if registry.field_for(key).live}
    fast = {"description", "hookscript", "migrate_downtime", "migrate_speed", "name", "onboot", "protection", "shares"}
    assert live == fast | {"startup", "tags", "ciupgrade"}, "devices may be plugged, which only trying tells"
    assert not registry.field_for("brand-new").live
