"""Versions, conditions, derived wants, kernel tokens, what GRUB makes of quotes."""

from __future__ import annotations

import dataclasses

import pytest

from transom import model
from transom.host import conditions, derive, files, grub_words, kernel_args, versions
from transom.host.settings import blacklist
from transom.spec import wish


@pytest.mark.parametrize(
    ("version", "condition", "holds"),
    [
        ("5.15.74-1-pve", ">=5.15,<6.8", True),
        ("5.15.74-1-pve", "", True),
        ("6.8.12-4-pve", "<6.8", False),
        ("6.8.12-4-pve", ">6.8", False),
        ("6.8.12-4-pve", ">=6.8.12-12", False),
        ("6.8.12-12-pve", "==6.8.12-12", True),
        ("6.8.12-4-pve", "==6.8", True),
        ("6.8.12-4-pve", "!=6.8", False),
        ("6.1.0-18-amd64", "<=6.1", True),
        ("10.0.2", ">=9.2,<10.0", False),
        ("9.2.0", " >= 9.2 , < 10.0 ", True),
        ("6", "<6.2", True),
    ],
)
def test_versions(version, condition, holds):
    assert versions.matches(version, condition) is holds


@pytest.mark.parametrize(("version", "condition"), [("6.8", "6.8"), ("6.8", ">=x"), ("x", ">=6"), ("6.8", ">=6,<")])
def test_versions_that_make_no_sense(version, condition):
    with pytest.raises(ValueError):
        versions.matches(version, condition)


def test_softdeps_follow_from_blacklisted_drivers_only_with_vfio_ids():
    wants = (
        wish.Want("snd_hda_intel", "Node/a"),
        wish.Want("i915", "Node/a", kernel="<6.8"),
        wish.Want("nouveau", "Node/a"),
    )
    assert derive.derive({"blacklist": wants}) == {"blacklist": wants}
    derived = derive.derive({"blacklist": wants, "vfio_ids": (wish.Want("8086:9bc8", "Node/a"),)})
    assert [(want.value, want.document, want.kernel) for want in derived["softdep"]] == [
        ("snd_hda_intel", "Node/a", ""),
        ("i915", "Node/a", "<6.8"),
        ("nouveau", "Node/a", ""),
    ]
    assert [want.value for want in derived["modules"]] == ["vfio_pci"]
    assert derive.derive(derived) == derived


def test_softdeps_follow_from_the_drivers_that_have_the_devices():
    def softdeps(*pci: model.PciDevice, ids: tuple[str, ...] = ("8086:15f3", "8086:9bc8")) -> list[str]:
        host = {"vfio_ids": tuple(wish.Want(one, "Node/a") for one in ids)}
        kept = {"i915": "Node/a", "snd_hda_intel": "Node/a", "xhci_pci": "Node/a"}
        return [want.value for want in derive.derive(host, pci, kept).get("softdep", ())]

    nic = model.PciDevice("0000:02:00.0", "8086", "15f3", "020000", driver="igc")
    usb = model.PciDevice("0000:00:14.0", "8086", "15f3", "0c0330", driver="xhci_hcd", module="xhci_pci")
    igd = model.PciDevice("0000:00:02.0", "8086", "9bc8", "030000", driver="i915")
    assert softdeps(nic, usb, igd) == ["igc", "xhci_pci", "i915"]
    ours = dataclasses.replace(igd, driver="vfio-pci")
    assert softdeps(nic, ours) == ["igc", "i915", "xhci_pci"]
    assert softdeps(dataclasses.replace(nic, driver=""), igd) == ["i915", "xhci_pci"]
    assert softdeps(nic, igd) == ["igc", "i915"]
    assert softdeps(igd) == ["i915", "snd_hda_intel", "xhci_pci"]
    assert softdeps(nic, igd, ids=()) == []


def test_wants_are_put_in_the_form_that_files_are_read_in(make_facts):
    select = conditions.selector("modules", lambda name: name.replace("-", "_"))
    chosen = select((wish.Want("vfio-pci", "a"), wish.Want("vfio_pci", "b")), make_facts(kernel=model.Unknown("?")))
    assert chosen.wants == (wish.Want("vfio_pci", "a"),)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('dyndbg="file a +p"', '"dyndbg=file a +p"', True),
        ("vfio-pci.ids=1:2", "vfio_pci.ids=1:2", True),
        ("quiet", "quiet=", False),
        ("a=b-c", "a=b_c", False),
    ],
)
def test_tokens_that_the_kernel_takes_for_the_same(one, other, same):
    assert kernel_args.same(one, other) is same


def test_the_kernel_keeps_quoted_blanks_together():
    assert kernel_args.split(' ro a="b c" "d=e f"  q\n') == ("ro", 'a="b c"', '"d=e f"', "q")


def test_grub_takes_quotes_off_once_more():
    assert grub_words.split(r"""ro memmap=1G\$4G 'a b' "c d" e\ f $vt 'g'""") == (
        "ro",
        "memmap=1G$4G",
        '"a b"',
        '"c d"',
        "e f",
        "$vt",
        "g",
    )


def test_a_pattern_that_was_not_looked_at_is_unknown(make_facts):
    facts = make_facts({"/etc/modprobe.d/a.conf": "x"}, covered=())
    assert files.listed(facts, "/etc/modprobe.d/*.conf") == model.Unknown("/etc/modprobe.d/*.conf was not looked at")


def test_a_blacklisted_module_is_looked_for_by_what_sysfs_says_of_its_driver():
    smbus = model.PciDevice("0000:00:1f.4", "8086", "a3a3", "0c0500", driver="i801_smbus", module="i2c_i801")
    boot = model.Boot("b", "6.8.12-4-pve", (), "grub", False, 0)
    bound = model.Facts("pve1", boot, {}, pci=(smbus,))
    free = model.Facts("pve1", boot, {}, pci=(dataclasses.replace(smbus, driver="", module=""),))
    assert blacklist.effective("i2c_i801", bound) is False
    assert blacklist.effective("i2c_i801", free) is True
