"""What is told of a host that is another than when it was good, and what comes and goes by itself."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.host import fingerprint
from transom.spec import wish

NODE = wish.NodeWish(
    "pve1",
    "pve1",
    "Node/pve1",
    "home",
    wish.Access((), "", wish.SecretRef(), "", "", "pve1", 22, "root", wish.SecretRef(), ""),
    {},
    {"igpu": wish.DeviceWish("igpu", "8086:9bc8")},
    (wish.GuestWish("win11", "VirtualMachine/win11", 112, {}),),
)
IGPU = {"address": "0000:00:02.0", "vendor": "8086", "device": "9bc8", "class_code": "030000", "subsystem": "1849:9bc8"}
CONF = "memory: 4096\n\n[PENDING]\nmemory: 8192\n"


@pytest.fixture
def facts(make_facts) -> model.Facts:
    found = make_facts(cmdline=["BOOT_IMAGE=/boot/vmlinuz-1", "root=/dev/x", "quiet"], pci=[IGPU | {"revision": "03"}])
    return dataclasses.replace(found, guests=guests(CONF))


def guests(text: str | model.Unknown) -> dict[int, model.GuestFile]:
    return {112: model.GuestFile(112, text, "0" * 40), 113: model.GuestFile(113, f"{text}cores: 2\n", "1" * 40)}


def told(before: model.Facts, now: model.Facts) -> list[str]:
    found = fingerprint.differing(fingerprint.take(before, NODE), fingerprint.take(now, NODE), now)
    return [fingerprint.said(name, *pair) for name, pair in found.items()]


def booted(facts: model.Facts, *tokens: str) -> model.Facts:
    return dataclasses.replace(facts, boot=dataclasses.replace(facts.boot, cmdline=tokens))


def test_another_command_line_but_not_what_the_boot_loader_puts_there(facts) -> None:
    now = booted(facts, "BOOT_IMAGE=/boot/vmlinuz-2", "root=/dev/x", "quiet", "initrd=\\EFI\\x")
    assert told(facts, now) == []
    now = booted(facts, "BOOT_IMAGE=/boot/vmlinuz-1", "root=/dev/x", "mitigations=off")
    assert told(facts, now) == ["kernel command line was root=/dev/x quiet and is root=/dev/x mitigations=off"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"class_code": "038000"}, "is 8086:9bc8 of class 038000, subsystem 1849:9bc8, revision 03"),
        ({"subsystem": ""}, "is 8086:9bc8 of class 030000, subsystem none, revision 03"),
        ({"revision": "05"}, "is 8086:9bc8 of class 030000, subsystem 1849:9bc8, revision 05"),
    ],
)
def test_another_kind_of_device(facts, change, said) -> None:
    (device,) = facts.pci
    (line,) = told(facts, dataclasses.replace(facts, pci=(dataclasses.replace(device, **change),)))
    assert line.startswith("kind of igpu at 0000:00:02.0 was 8086:9bc8 of class 030000")
    assert line.endswith(said)


def test_a_vm_that_others_changed_but_not_backups_snapshots_and_what_is_pending(facts) -> None:
    changed = dataclasses.replace(facts, guests=guests(CONF.replace("4096", "2048")))
    assert told(facts, changed) == ["the configuration of VM 112 is another"]
    for quiet in (f"lock: backup\n{CONF}", f"parent: x\n{CONF}", f"{CONF}\n[x]\nsnaptime: 1\n", "memory: 4096\n"):
        assert told(facts, dataclasses.replace(facts, guests=guests(quiet))) == []
    assert told(facts, dataclasses.replace(facts, guests=guests(model.Unknown("not UTF-8")))) == []
    assert told(facts, dataclasses.replace(facts, guests=model.Unknown("not read"))) == []
