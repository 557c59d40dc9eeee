"""Comparing configurations, our mark, the lines to type, the value of a hostpci."""

from __future__ import annotations

import pathlib
import shlex

import hypothesis
import pytest
from hypothesis import strategies as st

from transom.guest import compare, conf, hostpci, identity, registry, shell

SEED = {
    "agent": "1",
    "args": "-set device.hostpci0.addr=02.0 -set device.hostpci0.x-igd-gms=0x2 -set device.hostpci0.x-igd-opregion=on",
    "boot": "order=scsi0;ide2;net0;ide0",
    "cores": "6",
    "hostpci0": "00:02.0,romfile=igd.rom,legacy-igd=1",
    "net0": "virtio,bridge=vmbr0,firewall=1",
    "scsi0": "local-lvm:32,iothread=1,ssd=1",
    "usb0": "host=046d:c07e",
    "vga": "none",
    "kvm": "1",
}
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
DESCRIPTIONS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=30)


@pytest.fixture
def seed(golden: pathlib.Path) -> dict[str, str]:
    return conf.parse((golden / "conf" / "seed.conf").read_text()).persisted()


def test_the_seeds_documents_differ_in_nothing_from_the_seeds_vm(seed: dict[str, str]) -> None:
    assert compare.differences(SEED, seed) == ()


def test_only_keys_that_are_wanted_are_compared(seed: dict[str, str]) -> None:
    wanted = {"memory": "4096", "numa": "1", "tablet": "0", "onboot": "0"}
    assert compare.differences(wanted, seed) == (
        compare.Difference("memory", "4096", "8192"),
        compare.Difference("tablet", "0", None),
    )


@hypothesis.given(st.sampled_from(sorted(registry.DEFAULTS)))
def test_a_wanted_default_is_there_without_being_written(key: str) -> None:
    assert compare.differences({key: registry.DEFAULTS[key]}, {}) == ()


def test_an_adopted_configuration_does_not_differ_from_itself(seed: dict[str, str]) -> None:
    assert compare.differences(seed, seed) == ()


@hypothesis.given(DESCRIPTIONS, NAMES, NAMES | st.just(""))
def test_a_mark_can_be_read_replaced_and_taken_off(text: str, name: str, home: str) -> None:
    marked = identity.mark(text, name, home)
    assert identity.read(marked) == identity.Mark(name, home)
    assert identity.unmark(marked) == identity.unmark(text)
    assert identity.mark(marked, "other") == identity.mark(text, "other")


def test_what_people_write_is_not_taken_for_a_mark() -> None:
    note = "transom: managed\nsee the wiki\ntransom: by hand"
    marked = identity.mark(note, "win11", tagged=False)
    assert marked == f"{note}\n\ntransom: win11"
    assert identity.mark(marked, "win11", tagged=False) == marked
    assert identity.mark(marked, "renamed") == f"{note}\n\ntransom: renamed"
    assert identity.unmark(marked) == note
    assert identity.forget(f"{marked}\nwritten later", "win11") == f"{note}\n\nwritten later"


def test_a_mark_with_blanks_is_refused() -> None:
    with pytest.raises(ValueError, match="not a mark"):
        identity.mark("", "two words more")


def test_a_vm_is_marked_by_tag_and_line_together() -> None:
    description = identity.mark("Win 11", "win11", "fleet1")
    text = conf.render(conf.GuestConf(main={"tags": identity.mark_tags("b;a")}, description=description))
    assert text == "#Win 11\n#\n#transom%3A win11 fleet1\ntags: a;b;transom\n"
    assert identity.marked(conf.parse(text)) == "win11"
    assert identity.marked(conf.parse(text.replace(";transom", ""))) is None
    assert identity.marked(conf.parse("tags: transom\n")) is None
    assert identity.unmark_tags("a;b;transom") == "a;b"


def test_generation_ids_that_say_nothing_are_none() -> None:
    assert identity.vmgenid(conf.parse("vmgenid: 23513025-AA61-4288-88bc-e0daa646e154\n")).startswith("23513025-aa61")
    assert identity.vmgenid(conf.parse("vmgenid: 0\n")) == ""
    assert identity.vmgenid(conf.parse("")) == ""


@hypothesis.given(
    st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1)
)
def test_the_lines_to_type_are_what_the_shell_would_see(values: dict[str, str]) -> None:
    (line,) = shell.create(112, values)
    options = [word for key in sorted(values) for word in (f"--{key}", values[key])]
    assert shlex.split(line) == ["qm", "create", "112", *options]
    (line,) = shell.change(112, values, ("b", "a"), "d" * 40)
    assert shlex.split(line) == ["qm", "set", "112", *options, "--delete", "a,b", "--digest", "d" * 40]


def test_lines_to_type() -> None:
    assert shell.change(112, {"memory": "64"}, ("vga", "args")) == ("qm set 112 --memory 64 --delete args,vga",)
    assert shell.change(112, {}) == ()
    assert shell.create(None, {"name": "VMID"}) == (
        "VMID=$(pvesh get /cluster/nextid)",
        'qm create "$VMID" --name VMID',
    )
    assert shell.change(7, {"boot": "order=scsi0;net0"}) == ("qm set 7 --boot 'order=scsi0;net0'",)


def test_the_value_of_a_hostpci_from_its_parts() -> None:
    assert hostpci.render_hostpci("00:02.0", {"legacy-igd": "1"}, "igd-0a1b.rom") == (
        "0000:00:02.0,legacy-igd=1,romfile=igd-0a1b.rom"
    )
    assert hostpci.render_hostpci("0000:00:02.0", {}, None) == "0000:00:02.0"
    assert hostpci.render_hostpci("0000:00:02.0", {"romfile": "a.rom"}, "b.rom") == "0000:00:02.0,romfile=b.rom"
    with pytest.raises(ValueError, match="PCI address"):
        hostpci.render_hostpci("garbage", {})
