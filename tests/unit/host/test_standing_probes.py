"""The probes of what stands against a change, by what each must not get wrong."""

from __future__ import annotations

import json
import subprocess

import pytest

from patience import PATIENCE
from transom import model
from transom.host.probes import disks as disks_probe
from transom.host.probes import dpkg, drm, ha, jobs, links, space, votes

NVME = "../../devices/pci0000:00/0000:00:1b.0/0000:01:00.0/nvme/nvme0"
ROWS = """KNAME="nvme0n1" PKNAME="" FSTYPE="" MOUNTPOINT=""
KNAME="nvme0n1p2" PKNAME="nvme0n1" FSTYPE="vfat" MOUNTPOINT="/boot/efi"
KNAME="nvme0n1p3" PKNAME="nvme0n1" FSTYPE="LVM2_member" MOUNTPOINT=""
KNAME="dm-1" PKNAME="nvme0n1p3" FSTYPE="ext4" MOUNTPOINT="/"
KNAME="sda" PKNAME="" FSTYPE="" MOUNTPOINT=""
KNAME="sda1" PKNAME="sda" FSTYPE="zfs_member" MOUNTPOINT=""
KNAME="sdb" PKNAME="" FSTYPE="ntfs" MOUNTPOINT=""
"""
LINKS = f"""nvme0n1 {NVME}/nvme0n1
nvme0n1p2 {NVME}/nvme0n1/nvme0n1p2
nvme0n1p3 {NVME}/nvme0n1/nvme0n1p3
dm-1 ../../devices/virtual/block/dm-1
sda ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
sda1 ../../devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1
sdb ../../devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host1/target1:0:0/1:0:0:0/block/sdb
"""


def test_every_use_leads_to_its_controllers():
    found = {one.source: one for one in disks_probe.parse(f"{ROWS}-- links --\n{LINKS}".encode())}
    assert {name: (one.what, one.addresses) for name, one in found.items()} == {
        "lsblk nvme0n1p2": ("mounted on /boot/efi", ("0000:00:1b.0", "0000:01:00.0")),
        "lsblk nvme0n1p3": ("a member (LVM2_member)", ("0000:00:1b.0", "0000:01:00.0")),
        "lsblk dm-1": ("mounted on /", ("0000:00:1b.0", "0000:01:00.0")),
        "lsblk sda1": ("a member (zfs_member)", ("0000:00:17.0",)),
    }
    for body in (ROWS, f"nonsense\n-- links --\n{LINKS}"):
        with pytest.raises(ValueError):
            disks_probe.parse(body.encode())


def test_every_device_of_a_mounted_file_system_of_several_is_a_member():
    rows = """KNAME="nvme0n1p3" PKNAME="nvme0n1" FSTYPE="btrfs" MOUNTPOINT="/" UUID="a1"
KNAME="sda1" PKNAME="sda" FSTYPE="btrfs" MOUNTPOINT="" UUID="a1"
KNAME="sdb" PKNAME="" FSTYPE="btrfs" MOUNTPOINT="" UUID="b2"
KNAME="sdc" PKNAME="" FSTYPE="" MOUNTPOINT="" UUID=""
KNAME="sdd" PKNAME="" FSTYPE="ext4" MOUNTPOINT="" UUID="a1"
"""
    assert [(one.what, one.addresses[-1]) for one in disks_probe.parse(f"{rows}-- links --\n{LINKS}".encode())] == [
        ("mounted on /", "0000:01:00.0"),
        ("a member (btrfs, mounted on /)", "0000:00:17.0"),
    ]


ROOT = """KNAME="nvme0n1" PKNAME="" FSTYPE="" MOUNTPOINT="" UUID=""
KNAME="nvme0n1p3" PKNAME="nvme0n1" FSTYPE="ext4" MOUNTPOINT="/" UUID="x"
"""
SHARED = "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"


@pytest.mark.parametrize(
    ("links", "addresses"),
    [
        (f"nvme0c0n1 {NVME}/nvme0c0n1\nnvme0c3n1 {NVME.replace('01:00', '02:00')}/nvme0c3n1\nnvme0c0n2 /x/0000:09:00.0/nvme0c0n2",
         ("0000:00:1b.0", "0000:01:00.0", "0000:02:00.0")),
        ("nvme0c0n1 ../../devices/virtual/nvme-fabrics/ctl/nvme0/nvme0c0n1", ()),
    ],
)  # fmt: skip
def test_an_nvme_disk_with_native_multipath_is_where_its_links_are(links, addresses):
    own = f"nvme0n1 {SHARED}\nnvme0n1p3 {SHARED}/nvme0n1p3\n"
    (found,) = disks_probe.parse(f"{ROOT}-- links --\n{own}{links}\n".encode())
    assert found.addresses == addresses
    with pytest.raises(ValueError, match="where nvme0n1"):
        disks_probe.parse(f"{ROOT}-- links --\n{own}".encode())


def test_a_disk_behind_a_controller_with_buses_of_its_own():
    way = "../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0/nvme0n1"
    (found,) = disks_probe.parse(f"{ROOT}-- links --\nnvme0n1 {way}\nnvme0n1p3 {way}/nvme0n1p3\n".encode())
    assert found.addresses == ("0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0")
    pci = "link eno9 ../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e2:00.0/net/eno9"
    (way_out,) = links.parse(net(pci, "route 192.0.2.5 dev eno9 src 192.0.2.11"))
    assert way_out.addresses == ("0000:00:0e.0", "10000:e2:00.0")


ZFS = """KNAME="sda1" PKNAME="sda" FSTYPE="zfs_member" MOUNTPOINT="" UUID="11" LABEL="tank"
KNAME="sdb" PKNAME="" FSTYPE="zfs_member" MOUNTPOINT="" UUID="22" LABEL="rpool"
"""
STATUS = """  pool: rpool
 state: DEGRADED
config:

\tNAME               STATE     READ WRITE CKSUM
\trpool              DEGRADED     0     0     0
\t  mirror-0         DEGRADED     0     0     0
\t    /dev/nvme0n1p3 ONLINE       0     0     0
\t    4711           UNAVAIL      0     0     0  was {was}
"""
STORAGES = "zfspool: local-zfs\n\tpool {pool}\n\tcontent images\n"


def asked(guids: str = "22", was: str = "/dev/sdx", pool: str = "rpool/data", end: str = "-- asked --") -> str:
    return f"-- pools --\n{guids}\n-- vdevs --\n{STATUS.format(was=was)}\n-- storages --\n{STORAGES.format(pool=pool)}\n{end}\n"


@pytest.mark.parametrize(
    ("rows", "answer", "idle"),
    [
        (ZFS, asked(), {"sda1"}),
        (ZFS, asked(guids="22\n11"), set()),
        (ZFS, asked(was="/dev/sda1"), set()),
        (ZFS, asked(pool="tank"), set()),
        (ZFS, asked(pool="tank/vms"), set()),
        (ZFS, asked(pool="tank2"), {"sda1"}),
        (ZFS, asked(end=""), set()),
        (ZFS, "", set()),
        (ZFS.replace('UUID="11"', 'UUID=""'), asked(), set()),
        (ZFS.replace('LABEL="tank"', 'LABEL=""'), asked(), set()),
        (ZFS.replace('MOUNTPOINT="" UUID="11"', 'MOUNTPOINT="/boot" UUID="11"'), asked(), set()),
        (ZFS.replace("zfs_member", "LVM2_member", 1), asked(), set()),
    ],
)  # fmt: skip
def test_a_pool_is_idle_only_when_it_is_known_not_to_be_imported(rows, answer, idle):
    found = disks_probe.parse(f"{rows}-- links --\n{LINKS}{answer}-- esps --\n77AA-0001\n".encode())
    assert {one.source for one in found} == {"lsblk sda1", "lsblk sdb"}
    assert {one.source.removeprefix("lsblk ") for one in found if one.idle} == idle


@pytest.mark.parametrize(
    ("zpool", "idle"),
    [
        ('[ "$1" = status ] && echo /dev/sdb; [ "$1" = list ] && echo 22; exit 0', {"lsblk sda1"}),
        ("echo 22; exit 1", set()),
        (None, set()),
    ],
)
def test_zpool_is_asked_where_its_module_is_loaded_and_its_failure_lets_nothing_go(tmp_path, zpool, idle):
    tools = {"lsblk": f"cat <<'ROWS'\n{ZFS}ROWS", "find": f"cat <<'ROWS'\n{LINKS}ROWS", "zpool": zpool}
    for name, text in tools.items():
        if text is not None:
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
    (tmp_path / "storage.cfg").write_text(STORAGES.format(pool="rpool/data").rstrip("\n"))
    for loaded in (tmp_path, tmp_path / "none"):
        command = disks_probe.COMMAND.replace("/sys/module/zfs", str(loaded))
        command = command.replace("/etc/pve/storage.cfg", str(tmp_path / "storage.cfg"))
        done = subprocess.run(
            ["sh", "-c", command],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        found = {one.source for one in disks_probe.parse(done.stdout) if one.idle}
        assert found == (idle if loaded == tmp_path else set())


def test_an_esp_that_is_not_mounted_is_in_use():
    rows = 'KNAME="sda1" PKNAME="" FSTYPE="vfat" MOUNTPOINT="" UUID="2A13-C6F9"\n'
    assert disks_probe.parse(f"{rows}-- links --\n{LINKS}-- esps --\n77AA-0001".encode()) == ()
    (found,) = disks_probe.parse(f"{rows}-- links --\n{LINKS}-- esps --\n77AA-0001\n2A13-C6F9\n".encode())
    assert (found.what, found.addresses) == ("an ESP that the host boots from", ("0000:00:17.0",))


def test_a_disk_off_the_bus_has_no_function_and_one_that_is_nowhere_is_not_known():
    rows = 'KNAME="sdc" PKNAME="" FSTYPE="LVM2_member" MOUNTPOINT=""\nKNAME="zram0" PKNAME="" FSTYPE="" MOUNTPOINT="[SWAP]"\n'
    iscsi = "sdc ../../devices/platform/host8/session1/target8:0:0/8:0:0:1/block/sdc\n"
    zram = "zram0 ../../devices/virtual/block/zram0\n"
    assert [one.addresses for one in disks_probe.parse(f"{rows}-- links --\n{iscsi}{zram}".encode())] == [(), ()]
    with pytest.raises(ValueError, match="where sdc is"):
        disks_probe.parse(f"{rows}-- links --\n{zram}".encode())


def net(*extra: str) -> bytes:
    pci = "../../devices/pci0000:00/0000:00:1c.0/0000:02:00.{n}/net/eno{n}"
    lines = [f"link eno{n} {pci.format(n=n)}" for n in (1, 2, 3)]
    lines += [f"link {name} ../../devices/virtual/net/{name}" for name in ("lo", "bond0", "bond0.10", "vmbr0", "tap0")]
    lower = [("vmbr0", "bond0.10"), ("vmbr0", "tap0"), ("bond0.10", "bond0"), ("bond0", "eno1"), ("bond0", "eno2")]
    lines += [f"lower /sys/class/net/{upper}/lower_{below}" for upper, below in lower]
    return "\n".join([*lines, *extra, ""]).encode()


def test_the_way_to_transom_goes_through_bridge_vlan_and_bond():
    (found,) = links.parse(net("route 192.0.2.5 dev vmbr0 src 192.0.2.11 uid 0 \\    cache"))
    assert found.what == "the way to Transom"
    assert found.addresses == ("0000:00:1c.0", "0000:02:00.1", "0000:02:00.2")


def test_corosyncs_links_are_those_with_its_addresses():
    found = links.parse(
        net(
            "route 192.0.2.5 dev eno1 src 192.0.2.11",
            "addr eno3 10.0.0.1/24",
            "addr eno1 10.9.0.1/24",
            "ring 10.0.0.1",
            "ring pve2",
            "peer local 10.0.0.1 dev lo",
            "peer 10.0.0.2 dev eno2",
        )
    )
    assert [(one.what, one.addresses) for one in found][1:] == [
        ("a link of corosync", ("0000:00:1c.0", "0000:02:00.3"))
    ]


def test_corosyncs_address_on_lo_is_reached_over_what_leads_to_the_others():
    found = links.parse(
        net(
            "route 192.0.2.5 dev eno1 src 192.0.2.11",
            "addr lo 10.15.0.1/32",
            "ring 10.15.0.1",
            "ring 10.15.0.2",
            "peer local 10.15.0.1 dev lo src 10.15.0.1 uid 0",
            "peer 10.15.0.2 via 10.14.0.2 dev eno2 src 10.15.0.1 uid 0",
        )
    )
    assert [(one.what, one.addresses[-1]) for one in found] == [
        ("the way to Transom", "0000:02:00.1"),
        ("a link of corosync", "0000:02:00.2"),
    ]


@pytest.mark.parametrize(
    ("extra", "nics"),
    [
        (("route local 127.0.0.1 dev lo src 127.0.0.1", "default default via 192.0.2.1 dev vmbr0 onlink"), "12"),
        (("route local ::1 dev lo src ::1", "default unreachable default dev lo metric 4294967295", "default ::/0 dev eno3"), "3"),
        (("route local 192.0.2.11 dev lo", "addr lo 127.0.0.1/8", "addr vmbr0 192.0.2.11/24"), "12"),
        (("route local 127.0.0.1 dev lo", "own 127.0.1.1", "own 10.0.0.1", "addr eno3 10.0.0.1/24"), "3"),
        (("route local 127.0.0.1 dev lo", "own 10.0.0.1", "addr eno3 10.0.0.1/24", "default default dev eno1"), "13"),
        (("route local 127.0.0.1 dev lo", "default default nexthop via 1.1.1.1 dev eno1 nexthop via 2.2.2.2 dev eno3"), "13"),
    ],
)  # fmt: skip
def test_a_host_that_reaches_itself_is_reached_over_its_default_route_and_its_own_addresses(extra, nics):
    found = links.parse(net(*extra))
    assert {one.what for one in found} == {"the way to Transom"}
    assert {address[-1] for one in found for address in one.addresses if address.startswith("0000:02")} == set(nics)
    assert all("dev lo" in one.says and one.says.count(";") == 1 for one in found)


@pytest.mark.parametrize(
    ("dev", "more"),
    [
        ("tailscale0", ()),
        ("wg0", ()),
        ("vmbr9", ("link tap1 ../../devices/virtual/net/tap1", "lower /sys/class/net/vmbr9/lower_tap1")),
    ],
)
def test_a_tunnel_is_taken_to_lead_through_the_default_route(dev, more):
    way = f"{dev} table 52 src 100.64.0.7 uid 0"
    default = "default via 192.0.2.1 dev vmbr0 proto kernel onlink"
    (found,) = links.parse(
        net(f"link {dev} ../../devices/virtual/net/{dev}", *more, f"route 100.64.0.9 dev {way}", f"default {default}")
    )
    assert found.addresses == ("0000:00:1c.0", "0000:02:00.1", "0000:02:00.2")
    assert found.says == f"100.64.0.9 dev {way}; {default}"


def test_an_open_vswitch_bridge_stands_on_all_members():
    ovs = ("link vmbr1 ../../devices/virtual/net/vmbr1", "link ovs-system ../../devices/virtual/net/ovs-system")
    (found,) = links.parse(
        net(*ovs, "lower /sys/class/net/ovs-system/lower_eno3", "route 192.0.2.5 dev vmbr1 src 192.0.2.11")
    )
    assert found.addresses == ("0000:00:1c.0", "0000:02:00.3")
    tunnel = ("route 192.0.2.5 dev wg0", "default default dev eno1")  # which of the two wg0 leads through, nothing says
    found = links.parse(net(*ovs, "lower /sys/class/net/ovs-system/lower_eno3", *tunnel))
    assert [one.addresses[-1] for one in found] == ["0000:02:00.3", "0000:02:00.1"]


@pytest.mark.parametrize(
    "extra",
    [
        (),
        ("route 192.0.2.5 dev wg0 src 10.0.0.2",),
        ("junk",),
        ("route 192.0.2.5 dev wg0 src 10.0.0.2", "default default dev wg0", "addr eno1 10.0.0.2/24"),
        ("route local 127.0.0.1 dev lo",),
        ("route local 127.0.0.1 dev lo", "default default dev wg0", "own 127.0.1.1", "addr lo 127.0.0.1/8"),
        ("route 192.0.2.5 dev eno1", "addr eno1 10.9.0.1/24", "ring pve1", "ring 10.0.0.1"),
    ],
)
def test_a_way_that_cannot_be_followed_is_not_known(extra):
    with pytest.raises(ValueError):
        links.parse(net(*extra))


QUORATE = """Quorum information
------------------
Date:             Sun Nov 22 14:00:00 2026
Quorum provider:  corosync_votequorum
Nodes:            3
Node ID:          0x00000001
Ring ID:          1.2f
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      4
Quorum:           3
Flags:            Quorate

Membership information
----------------------
    Nodeid      Votes Name
0x00000001          2 10.0.0.1 (local)
0x00000002          1 10.0.0.2
"""


def test_votes():
    assert votes.parse(QUORATE.encode()) == model.Votes(4, 3, 2)
    assert votes.parse(b"none\n") is None
    with pytest.raises(ValueError):
        votes.parse(b"Cannot initialize QUORUM service\n")


def test_ha_services_that_are_active_here():
    status = {
        "node_status": {"pve1": "online", "pve2": "maintenance"},
        "service_status": {
            "vm:100": {"node": "pve1", "state": "started"},
            "ct:104": {"node": "pve1", "state": "stopped"},
            "vm:101": {"node": "pve2", "state": "started"},
        },
    }
    body = json.dumps(status).encode()
    assert ha.make("pve1").parse(body) == ("vm:100 started",)
    assert ha.make("pve2").parse(body) == ()
    assert ha.make("pve1").parse(b"") == ()
    with pytest.raises(ValueError):
        ha.make("pve1").parse(b"[]")


def test_jobs():
    upid = "UPID:pve1:000A1B2C:00D3:6560A1B2:{}:{}:root@pam:"
    body = "\n".join(
        [upid.format("vzdump", "112"), upid.format("qmstart", "113"), upid.format("vzdump", ""), "replication 4711", ""]
    )
    assert [one.partition(",")[0] for one in jobs.parse(body.encode())] == [
        "vzdump of 112",
        "vzdump of several",
        "replication",
    ]
    with pytest.raises(ValueError):
        jobs.parse(b"nonsense\n")


def test_dpkg():
    assert dpkg.parse(b"lock /var/lib/dpkg/lock-frontend\nstate half-configured pve-manager\n") == (
        "/var/lib/dpkg/lock-frontend is held",
        "pve-manager is half-configured",
    )
    assert dpkg.parse(b"") == ()
    with pytest.raises(ValueError):
        dpkg.parse(b"junk\n")


def test_space():
    body = b"image 50\nimage 70\nroom 10 4096 /boot\nroom 5 4096 /boot/efi\n"
    assert space.parse(body) == (model.Space("/boot", 40960, 70), model.Space("/boot/efi", 20480, 70))
    for wrong in (b"", b"image 50\n", b"room x 4096 /boot\n"):
        with pytest.raises(ValueError):
            space.parse(wrong)


def test_nodes_of_dev_dri_lead_to_their_function():
    pci = "../../devices/pci0000:00"
    links = f"""card0 {pci}/0000:00:02.0/drm/card0
card0-DP-1 {pci}/0000:00:02.0/drm/card0/card0-DP-1
renderD128 {pci}/0000:00:02.0/drm/renderD128
renderD129 {pci}/0000:00:01.0/0000:01:00.0/drm/renderD129
card7 ../../devices/platform/simple-framebuffer.0/drm/card7
"""
    assert drm.parse(links.encode()) == {
        "card0": "0000:00:02.0", "renderD128": "0000:00:02.0", "renderD129": "0000:01:00.0"
    }  # fmt: skip
    assert drm.parse(b"") == {}
