"""A running QEMU's words beside those of a start now: what is a difference, and what always differs."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transom.guest import cmdline

ROM = "vfio-pci,host=0000:00:02.0,id=hostpci0,bus=pci.0,addr=0x2,romfile=/usr/share/kvm/igd.rom"
NOW = shlex.split(
    "/usr/bin/kvm -id 112 -name win,debug-threads=on -no-shutdown -chardev socket,id=qmp,path=/run/112.qmp,server=on,wait=off"
    " -mon chardev=qmp,mode=control -pidfile /var/run/qemu-server/112.pid -daemonize -smbios type=1,uuid=u"
    " -smp 4,sockets=1,cores=4,maxcpus=4 -nodefaults -vga none -nographic -cpu host,kvm=off,+kvm_pv_eoi -m 4096"
    f" -device {ROM} -netdev type=tap,id=net0,ifname=tap112i0 -device virtio-net-pci,mac=AA,netdev=net0,id=net0"
    " -rtc driftfix=slew -machine hpet=off,type=pc-i440fx-9.2+pve1 -set device.hostpci0.x-igd-opregion=on"
)


def told(running, wanted=NOW, *, pinned=False, pooled=frozenset()):
    return {
        one.key: (one.running, one.wanted) for one in cmdline.differences(running, wanted, pinned=pinned, pooled=pooled)
    }


def changed(old: str, new: str) -> list[str]:
    words = [word.replace(old, new) for word in NOW]
    assert words != NOW
    return words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("win,", "tmp,"),
        ("112.qmp", "113.qmp"),
        ("4096", "8192"),
        ("+pve1", "+pve0"),
        ("i440fx-9.2", "i440fx-10.0"),
        ("hpet=off,", ""),
        ("+kvm_pv_eoi", "+kvm_pv_unhalt"),
        ("virtio-net-pci,mac=AA", "e1000,mac=BB"),
        ("romfile=/usr/share/kvm/igd.rom", "romfile=/usr/share/kvm/igd.rom,bootindex=100"),
        ("type=pc-i440fx-9.2+pve1", "pc-i440fx-9.2"),
    ],
)
def test_what_always_differs_is_no_difference(old, new):
    assert told(changed(old, new)) == {}


def test_what_a_start_of_another_kind_adds_is_no_difference():
    assert told([*NOW, "-incoming", "tcp:[::1]:60000", "-S"]) == {}
    assert told([*NOW, "-loadstate", "/dev/pve/vm-112-state"]) == {}


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("igd.rom", "other.rom", "hostpci0"),
        ("0000:00:02.0", "0000:01:00.0", "hostpci0"),
        (",romfile=/usr/share/kvm/igd.rom", "", "hostpci0"),
        ("none", "std", "vga"),
        ("i440fx", "q35", "machine"),
        ("host,kvm=off", "kvm64,kvm=off", "cpu"),
        ("opregion=on", "opregion=off", "args"),
    ],
)
def test_what_hangs_on_a_key_is_told_by_it(old, new, key):
    found = told(changed(old, new))
    assert set(found) == {key}
    was, now = found[key]
    assert was != now


def test_a_device_or_words_that_are_only_on_one_side():
    bare = [word for word in NOW[:-2] if word != ROM]
    del bare[bare.index("-device")]
    found = told(bare)
    assert found["hostpci0"][0] == ""
    assert "romfile" in found["hostpci0"][1]
    assert found["args"] == ("", "-set device.hostpci0.x-igd-opregion=on")
    assert told(NOW, bare)["args"] == ("-set device.hostpci0.x-igd-opregion=on", "")


def test_a_pinned_machine_is_compared_with_its_version():
    assert set(told(changed("9.2", "10.0"), pinned=True)) == {"machine"}


def test_of_a_pool_any_device_will_do():
    assert told(changed("0000:00:02.0", "0000:01:00.0"), pooled={"hostpci0"}) == {}


def test_args_that_name_a_device_like_pves_own_are_words_of_args():
    assert set(told([*NOW, "-device", "vfio-pci,host=0000:02:00.0,id=hostpci5"])) == {"args"}


@given(st.lists(st.text(max_size=12), max_size=20))
def test_any_command_line_equals_itself(words):
    assert cmdline.differences(words, words, pinned=True) == ()
