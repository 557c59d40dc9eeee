"""Well-formed lines that qemu-server drops all the same."""

from __future__ import annotations

import pytest

from transom.guest import conf, known, registry


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("bogus_key: 1", "PVE has no such key"),
        ("net32: virtio,bridge=vmbr0", "PVE has no such key"),
        ("memory: abc", "is not a whole number"),
        ("cores: -1", "is not a whole number"),
        ("cpulimit: 1e3", "is not a number"),
        ("onboot: maybe", "is not 0 or 1"),
    ],
)
def test_a_line_that_pve_does_not_take_is_dropped(line, why):
    ((said, reason),) = known.dropped(conf.parse(f"name: x\n{line}\n"))
    assert said == line
    assert why in reason


@pytest.mark.parametrize(
    "line", ["onboot: yes", "bios: foo", "memory: current=512", "smp: 2", "net31: virtio", "cores: 04"]
)
def test_what_pve_takes_is_not(line):
    # check_type has no list of words: "bios: foo" stays in the file
    assert not list(known.dropped(conf.parse(f"{line}\n")))


def test_sections_are_looked_at_but_not_what_cloud_init_left():
    text = "cores: 1\n\n[PENDING]\nfoo: 1\n\n[special:cloudinit]\nfoo: 2\n\n[snap]\nbar: 3\n"
    assert [line for line, _ in known.dropped(conf.parse(text))] == ["[PENDING] foo: 1", "[snap] bar: 3"]


def test_switches_and_whole_numbers_are_written_as_pve_writes_them():
    assert [registry.normal("onboot", value) for value in ("yes", "off", "maybe")] == ["1", "0", "maybe"]
    assert registry.normal("cores", "04") == "4"
    assert registry.normal("name", "on") == "on"
