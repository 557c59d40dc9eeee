"""Laws over spellings: the same meaning is no drift, another one is, and a rewrite keeps what is not the document's.

A property is a list of meanings, a meaning the ways to spell it; ``ABSENT`` among them says that leaving it out means the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import hypothesis
import pytest
from hypothesis import strategies as st

from transom.guest import absent, compare, props, registry
from transom.guest.fields import agent, boot, cloudinit, devices, disks, hostpci, machine, net, usb
from transom.lab.pve import schema

ABSENT = ""
Meanings = tuple[tuple[str, ...], ...]
OFF: Meanings = ((ABSENT, "0", "off", "No", "false"), ("1", "on", "YES", "true"))
ON: Meanings = ((ABSENT, "1", "on", "Yes", "TRUE"), ("0", "off", "no", "false"))
NO_LIMIT: Meanings = ((ABSENT, "0"), ("40", "040"), ("7",))
RATE: Meanings = ((ABSENT, "0", "0.0"), ("1.5", "1.50", "15e-1"), (".5", "0.500"))
DRIVE: dict[str, Meanings] = {
    "file": (("local-lvm:vm-1-disk-0",), ("local-lvm:vm-1-disk-1",)),
    "backup": ON,
    "replicate": ON,
    "detect_zeroes": ON,
    "snapshot": OFF,
    "shared": OFF,
    "ssd": OFF,
    "ro": OFF,
    "iothread": OFF,
    "scsiblock": OFF,
    "discard": ((ABSENT, "ignore"), ("on",)),
    "media": ((ABSENT, "disk"),),
    "rerror": ((ABSENT, "report"), ("stop",)),
    "werror": ((ABSENT, "enospc"), ("ignore",)),
    "cache": ((ABSENT,), ("none",), ("writeback",)),
    "aio": ((ABSENT,), ("native",)),
    "mbps": RATE,
    "mbps_rd_max": RATE,
    "iops": NO_LIMIT,
    "serial": ((ABSENT,), ("a%2fb", "a%2Fb"), ("ab",)),
    "wwn": ((ABSENT,), ("0x5000C500A0B1C2D3", "0x5000c500a0b1c2d3")),
}
STRINGS: dict[str, tuple[props.Schema, Mapping[str, Meanings]]] = {
    "hostpci0": (
        hostpci.SCHEMA,
        {
            "host": (
                ("00:02.0", "0000:00:02.0"),
                ("00:02", "0000:00:02"),
                ("0001:00:02.0",),
                ("00:02.0;00:02.1", "0000:00:02.0;00:02.1"),
            ),
            "rombar": ON,
            "pcie": OFF,
            "x-vga": OFF,
            "legacy-igd": OFF,
            "romfile": ((ABSENT,), ("a.rom",), ("A.rom",)),
            "mdev": ((ABSENT,), ("i915-GVTg_V5_4",)),
            "device-id": ((ABSENT,), ("0x9BC8", "0x9bc8"), ("0x9bc9",)),
            "driver": ((ABSENT, "vfio"), ("keep",)),
        },
    ),
    "usb0": (
        usb.SCHEMA,
        {"host": (("046d:c07e", "0x046D:0xC07E"), ("1-1.4",), ("1-1",), ("spice", "SPICE")), "usb3": OFF},
    ),
    "scsi0": (disks.DRIVE, DRIVE),
    "virtio3": (disks.DRIVE, DRIVE),
    "efidisk0": (
        disks.EFI,
        {
            "file": (("local-lvm:vm-1-disk-0",), ("local-lvm:vm-1-disk-1",)),
            "efitype": ((ABSENT, "2m"), ("4m",)),
            "pre-enrolled-keys": OFF,
            "size": ((ABSENT, "4M", "4096K"),),
        },
    ),
    "tpmstate0": (disks.TPM, {"file": (("local-lvm:vm-1-disk-0",),), "version": ((ABSENT, "v1.2"), ("v2.0",))}),
    "net0": (
        net.SCHEMA,
        {
            "model": (("virtio",), ("e1000",)),
            "macaddr": (("F6:ED:C6:88:12:F6", "f6:ed:c6:88:12:f6"), ("F6:ED:C6:88:12:F7",)),
            "bridge": (("vmbr0",), ("vmbr1",), (ABSENT,)),
            "queues": ((ABSENT, "0", "1"), ("4", "04")),
            "rate": RATE,
            "firewall": OFF,
            "link_down": OFF,
            "tag": ((ABSENT,), ("5", "05")),
            "mtu": ((ABSENT,), ("1",)),
            "trunks": ((ABSENT,), ("2;3;4", "4;2-3", "2-4"), ("2;4",)),
        },
    ),
    "machine": (
        machine.MACHINE,
        {
            "type": (
                ("pc-i440fx-9.2", "pc-i440fx-9.2+pve0", "pc-i440fx-9.2.pxe"),
                ("pc-i440fx-9.2+pve1",),
                ("pc-q35-9.2",),
            ),
            "viommu": ((ABSENT,), ("virtio",)),
            "aw-bits": ((ABSENT,), ("48", "48.0")),
            "enable-s3": ((ABSENT,), ("1", "on"), ("0", "no")),
        },
    ),
    "cpu": (
        machine.CPU,
        {
            "cputype": (("host",), ("kvm64",), ("x86-64-v2-AES",)),
            "hidden": OFF,
            "flags": ((ABSENT,), ("+aes;-pcid", "-pcid;+aes"), ("+aes",)),
            "phys-bits": ((ABSENT,), ("host",)),
            "level": ((ABSENT,), ("30", "030")),
        },
    ),
    "vga": (
        machine.VGA,
        {
            "type": ((ABSENT, "std"), ("virtio",), ("qxl",)),
            "memory": ((ABSENT,), ("32", "032")),
            "clipboard": ((ABSENT,), ("vnc",)),
        },
    ),
    "memory": (machine.MEMORY, {"current": (("512", "0512"), ("4096",))}),
    "agent": (
        agent.SCHEMA,
        {
            "enabled": (("1", "yes"),),
            "fstrim_cloned_disks": OFF,
            "freeze-fs": ON,
            "type": ((ABSENT, "virtio"), ("isa",)),
        },
    ),
    "boot": (boot.SCHEMA, {"order": (("scsi0;net0", "scsi0 net0"), ("net0;scsi0",), ("scsi0",))}),
    "rng0": (
        devices.RNG,
        {
            "source": (("/dev/urandom",), ("/dev/hwrng",)),
            "max_bytes": ((ABSENT, "1024"), ("0",)),
            "period": ((ABSENT, "1000"), ("5",)),
        },
    ),
    "audio0": (devices.AUDIO, {"device": (("AC97",), ("intel-hda",)), "driver": ((ABSENT, "spice"), ("none",))}),
    "watchdog": (devices.WATCHDOG, {"model": ((ABSENT, "i6300esb"), ("ib700",)), "action": (("reset",), ("none",))}),
    "virtiofs0": (
        devices.VIRTIOFS,
        {"dirid": (("a",), ("b",)), "cache": ((ABSENT, "auto"), ("never",)), "direct-io": OFF, "expose-xattr": OFF},
    ),
    "numa0": (
        devices.NUMA,
        {
            "cpus": (("0-3", "0;1;2-3"), ("0;2",)),
            "memory": ((ABSENT,), ("1024", "1024.0")),
            "hostnodes": ((ABSENT,), ("0;1", "1;0", "0-1")),
            "policy": ((ABSENT,), ("bind",)),
        },
    ),
    "ipconfig0": (
        devices.IPCONFIG,
        {
            "ip": (("192.0.2.9/24",), ("dhcp",)),
            "ip6": ((ABSENT,), ("auto",), ("2001:DB8::1/64", "2001:db8:0::1/64")),
        },
    ),
    "startup": (devices.STARTUP, {"order": (("1", "01"), ("2",)), "up": ((ABSENT,), ("30", "030"))}),
    "spice_enhancements": (devices.SPICE, {"foldersharing": OFF, "videostreaming": ((ABSENT, "off"), ("all",))}),
    "ivshmem": (devices.IVSHMEM, {"size": (("32", "032"), ("64",)), "name": ((ABSENT,), ("foo",))}),
    "amd-sev": (devices.SEV, {"type": (("es",), ("std",)), "no-debug": OFF, "allow-smt": ON}),
    "smbios1": (
        machine.SMBIOS,
        {
            "uuid": (("6fd8a123-7bcc-46ba-934e-cb8d00000000", "6FD8A123-7BCC-46ba-934e-cb8d00000000"),),
            "serial": ((ABSENT,), ("x",)),
            "base64": ((ABSENT, "0", "no"),),
        },
    ),
    "cicustom": (
        cloudinit.CUSTOM,
        {"user": (("local:snippets/u",), ("local:snippets/v",)), "meta": ((ABSENT,), ("local:snippets/m",))},
    ),
}
PLAIN: dict[str, Meanings] = {
    "tags": (("a;b", "b,A", "a b a"), ("a",), ("a;b;c",)),
    "hotplug": (("1", "network,disk,usb", "usb;disk network"), ("0",), ("disk",)),
    "onboot": (("1", "on", "yes"), ("0", "off")),
    "cores": (("4", "04", "+4"), ("5",)),
    "cpulimit": (("0", "0.0"), ("2.5", "2.50"), ("3",)),
    "args": (("-a  'b c'", '-a "b c"', "-a b\\ c"), ("-a b c",)),
    "affinity": (("0-3", "3,0,1-2"), ("0-2",)),
    "nameserver": (("192.0.2.1 192.0.2.2", "192.0.2.1;192.0.2.2"), ("192.0.2.2 192.0.2.1",)),
    "startdate": (("2006-06-17", "2006-6-17T0:0:0"), ("now",)),
    "description": (("x", "x\n", "x  "), ("X",), ("a\nx",)),
    "boot": (("cdn", "legacy=cdn"), ("c",)),
    "agent": (("0", "enabled=0,type=isa"), ("1", "enabled=1")),
    "ide2": (
        ("none", "none,media=cdrom", "media=cdrom,file=none"),
        ("cdrom",),
        ("local:iso/x.iso,media=cdrom", "local:iso/x.iso,size=4G,media=cdrom"),
    ),
    "vga": (("none",), ("type=none",), ("std", "type=std")),
    "smbios1": (("serial=x", "base64=1,serial=eA=="), ("serial=y", "serial=eQ==,base64=1")),
    "name": (("Win11",), ("win11",)),
}
FOREIGN = {
    "efidisk0": ["ms-cert=2023k"],
    "scsi0": ["size=32G"],
    "virtio3": ["size=32768M"],
}


@st.composite
def meant(draw: st.DrawFn, key: str) -> dict[str, tuple[str, ...]]:
    return {name: draw(st.sampled_from(meanings)) for name, meanings in STRINGS[key][1].items()}


@st.composite
def spelt(draw: st.DrawFn, key: str, meaning: Mapping[str, tuple[str, ...]]) -> str:
    chosen = {name: draw(st.sampled_from(ways)) for name, ways in meaning.items()}
    parts = []
    for name in draw(st.permutations([name for name, value in chosen.items() if value])):
        bare = name == STRINGS[key][0].default_key and draw(st.booleans())
        parts.append(chosen[name] if bare else f"{name}={chosen[name]}")
    return ",".join(parts)


KEYS = pytest.mark.parametrize("key", sorted(STRINGS))
QUICK = hypothesis.settings(max_examples=40)


@KEYS
@QUICK
@hypothesis.given(data=st.data())
def test_the_same_meaning_is_no_drift(key: str, data: st.DataObject) -> None:
    meaning = data.draw(meant(key))
    one, other = data.draw(spelt(key, meaning)), data.draw(spelt(key, meaning))
    assert registry.field_for(key).same(one, other)
    assert registry.field_for(key).same(other, one)


@KEYS
@QUICK
@hypothesis.given(data=st.data())
def test_another_meaning_is_drift(key: str, data: st.DataObject) -> None:
    several = sorted(name for name, meanings in STRINGS[key][1].items() if len(meanings) > 1)
    hypothesis.assume(several)
    meaning = data.draw(meant(key))
    name = data.draw(st.sampled_from(several))
    changed = {
        **meaning,
        name: data.draw(st.sampled_from([way for way in STRINGS[key][1][name] if way != meaning[name]])),
    }
    one, other = data.draw(spelt(key, meaning)), data.draw(spelt(key, changed))
    assert not registry.field_for(key).same(one, other)
    assert not registry.field_for(key).same(other, one)


@KEYS
@QUICK
@hypothesis.given(data=st.data())
def test_a_rewrite_keeps_what_is_foreign_and_is_as_wanted(key: str, data: st.DataObject) -> None:
    field, (kind, _) = registry.field_for(key), STRINGS[key]
    wanted = data.draw(spelt(key, data.draw(meant(key))))
    foreign = ["newer=x", *FOREIGN.get(key, [])]
    observed = ",".join(part for part in (data.draw(spelt(key, data.draw(meant(key)))), *foreign) if part)
    hypothesis.assume((key not in FOREIGN and key != "tpmstate0") or same_volume(kind, wanted, observed))
    merged = field.merge(wanted, observed)
    assert set(foreign) <= set(merged.split(","))
    assert field.same(wanted, merged)
    assert field.merge(wanted, merged) == merged or field.same(merged, field.merge(wanted, merged))


def same_volume(kind: props.Schema, wanted: str, observed: str) -> bool:
    """Another volume in a drive's place is a drive of its own: nothing of the old one stays."""
    return props.split(kind, wanted).get("file") == props.split(kind, observed).get("file")


@pytest.mark.parametrize("key", sorted(PLAIN))
def test_plain_spellings(key: str) -> None:
    field = registry.field_for(key)
    for meaning in PLAIN[key]:
        for one in meaning:
            assert all(field.same(one, other) for other in meaning)
            others = [other for another in PLAIN[key] if another is not meaning for other in another]
            assert not any(field.same(one, other) for other in others)


@pytest.mark.parametrize(
    ("key", "value", "observed"),
    [
        ("sockets", "2", {"smp": "2"}),
        ("cpu", "kvm64", {}),
        ("cpu", "qemu64", {"kvm": "0"}),
        ("cpu", "host", {"arch": "aarch64"}),
        ("machine", "pc", {}),
        ("machine", "virt", {"arch": "aarch64"}),
        ("localtime", "1", {"ostype": "win11"}),
        ("localtime", "0", {"ostype": "l26"}),
        ("tablet", "0", {"vga": "qxl2,memory=32"}),
        ("tablet", "1", {"vga": "virtio"}),
        ("vga", "cirrus", {"ostype": "wxp"}),
        ("boot", "cdn", {}),
        ("memory", "current=512", {}),
        ("startdate", "now", {}),
        ("vmgenid", "0", {}),
    ],
)
def test_what_an_absent_key_means(key: str, value: str, observed: dict[str, str]) -> None:
    meaning = absent.meaning(key, observed)
    assert meaning is not None
    assert registry.field_for(key).same(value, meaning)
    assert compare.differences({key: value}, observed) == ()


def test_an_absent_key_is_judged_beside_the_other_wishes() -> None:
    """Without it, ``cpu`` would be left as it is now and be drift as soon as ``kvm`` is off."""
    keys = [one.key for one in compare.differences({"cpu": "kvm64", "kvm": "0"}, {})]
    assert keys == ["cpu", "kvm"]
    assert [one.key for one in compare.differences({"cpu": "kvm64", "kvm": "1"}, {"kvm": "0"})] == ["kvm"]


def kinds() -> list[tuple[str, str]]:
    rows = [
        (key, entry)
        for key, entry in schema.KEYS.items()
        if entry.prop.fields and not entry.internal and key.rstrip("0123456789") != "unused"
    ]
    return [
        (key, name) for key, entry in rows for name in entry.prop.fields if key.endswith("0") or not key[-1].isdigit()
    ]


@pytest.mark.parametrize(("key", "name"), [one for one in kinds() if not one[0].startswith("startup")])
def test_every_property_of_pves_schema_is_known(key: str, name: str) -> None:
    """By its proper name: an alias is counted with what it stands for, and a property that nobody knows would be foreign."""
    prop = schema.KEYS[key].prop.fields[name]  # type: ignore[index]
    family = next((kind for kind in STRINGS if registry.field_for(kind) is registry.field_for(key)), key)
    known = STRINGS[family][0] if family in STRINGS else {"intel-tdx": devices.TDX}[key]
    if prop.key_alias:
        assert registry.field_for(key).same(f"{name}=F6:ED:C6:88:12:F6", f"model={name},macaddr=F6:ED:C6:88:12:F6")
    elif prop.alias:
        assert known.aliases[name] == prop.alias
    else:
        assert name in known.props
        assert (known.default_key == name) == prop.default_key
