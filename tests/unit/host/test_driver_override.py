"""The script that binds one device of several alike: run by a real shell over a small sysfs, and who gets one."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import PATIENCE
from transom import model
from transom.host import devices
from transom.host.settings import driver_override
from transom.spec import wish

SH = shutil.which("dash") or shutil.which("sh") or "sh"
ITEMS = ["0000:01:00.0=10de:1f08", "0000:02:00.0=10de:1f08", "0000:03:00.0=144d:a809"]


def run(script: str, sysfs: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    here = script.replace("/sys/bus/pci/devices", str(sysfs))
    return subprocess.run(
        [SH, "-c", here, "script", *words], capture_output=True, text=True, timeout=PATIENCE, check=True
    )


def test_the_named_device_is_kept_and_its_twin_is_not(tmp_path: pathlib.Path) -> None:
    for address, vendor, kind in (
        ("0000:01:00.0", "10de", "1f08"),
        ("0000:02:00.0", "10de", "1f08"),
        ("0000:03:00.0", "8086", "1539"),
    ):
        (tmp_path / address).mkdir()
        for name, text in (("vendor", f"0x{vendor}\n"), ("device", f"0x{kind}\n"), ("driver_override", "(null)\n")):
            (tmp_path / address / name).write_text(text)
    script = driver_override.edit("", frozenset(), ("0000:01:00.0=10de:1f08", *ITEMS[2:], "0000:09:00.0=10de:1f08"))
    assert run(script, tmp_path, "prereqs").stdout == ""
    assert (tmp_path / "0000:01:00.0/driver_override").read_text() == "(null)\n"
    done = run(script, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "0000:01:00.0/driver_override").read_text() == "vfio-pci\n"
    assert (tmp_path / "0000:02:00.0/driver_override").read_text() == "(null)\n"
    assert (tmp_path / "0000:03:00.0/driver_override").read_text() == "(null)\n", "another device lies there now"


@given(
    wishes=st.lists(st.lists(st.sampled_from(ITEMS), unique=True), max_size=6),
    own=st.sampled_from(["", "echo mine\n", "echo mine"]),
)
@settings(max_examples=200)
def test_any_sequence_of_edits_is_idempotent_and_undone(wishes: list[list[str]], own: str) -> None:
    text = start = driver_override.HEAD + own if own else ""
    owned: frozenset[str] = frozenset()
    for wanted in wishes:
        text = driver_override.edit(text, owned, tuple(wanted))
        owned = frozenset(wanted)
        assert driver_override.edit(text, owned, tuple(wanted)) == text
        assert {item for item, _ in driver_override.places(text)} == owned
    left = driver_override.edit(text, owned, ())
    assert left.rstrip("\n") == start.rstrip("\n")


def gpu(address: str) -> model.PciDevice:
    return model.PciDevice(address, "10de", "1f08", "030000")


DEVICE = wish.DeviceWish("gpu", "10de:1f08", address="0000:01:00.0")
BY_VM = wish.Want("10de:1f08", "VirtualMachine/a (recipe r 1)")


def node_of(make_access: wish.Access, device: wish.DeviceWish, want: wish.Want) -> wish.NodeWish:
    guest = wish.GuestWish("a", "VirtualMachine/a", 100, {}, device)
    return wish.NodeWish(
        "pve1", "pve1", "Node/pve1", "home", make_access, {"vfio_ids": (want,)}, {device.name: device}, (guest,)
    )


@pytest.fixture
def access() -> wish.Access:
    return wish.Access((), "t", wish.SecretRef(env="X"), "", "", "pve1", 22, "root", wish.SecretRef(env="Y"), "")


@pytest.mark.parametrize(
    ("device", "want", "pci", "ids", "overrides"),
    [
        (DEVICE, BY_VM, ("0000:01:00.0", "0000:02:00.0"), [], ["0000:01:00.0=10de:1f08"]),
        (DEVICE, BY_VM, ("0000:01:00.0",), ["10de:1f08"], []),
        (dataclasses.replace(DEVICE, address=""), BY_VM, ("0000:01:00.0", "0000:02:00.0"), ["10de:1f08"], []),
        (DEVICE, wish.Want("10de:1f08", "Node/pve1"), ("0000:01:00.0", "0000:02:00.0"), ["10de:1f08"], []),
        (DEVICE, BY_VM, None, ["10de:1f08"], []),
    ],
)
def test_a_vms_device_with_a_twin_is_bound_by_its_address(access, device, want, pci, ids, overrides):
    seen = model.Unknown("not read") if pci is None else tuple(gpu(address) for address in pci)
    host = devices.by_address(node_of(access, device, want), seen)
    assert [one.value for one in host.get("vfio_ids", ())] == ids
    assert [one.value for one in host.get("driver_override", ())] == overrides
