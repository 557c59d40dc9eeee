"""The page for whoever sits at the console: the words of the boot that was good, and the kept copies by names that can be typed."""

from __future__ import annotations

import pytest

from transom.host import loader
from transom.plan import actions as acts
from transom.report import rescue_card

FOLDER = "/var/lib/transom/rollback/20261122-104501-pve1-3f2a"


def card(name: str, path: str = "/etc/default/grub.d/90-transom.cfg", more: tuple[str, ...] = ()) -> str:
    words = ("BOOT_IMAGE=/boot/vmlinuz-6.8.12-4-pve", "initrd=\\EFI\\x", "root=/dev/mapper/pve-root", "ro", "quiet")
    action = acts.ArmRollback("boot", (*words, *more), name, (f"write {path}",))
    return rescue_card.text(action, node="pve1", run="20261122-104501-pve1-3f2a", within=600, folder=FOLDER)


def test_grub_boots_the_kept_kernel_from_its_prompt():
    lines = [line.strip() for line in card(loader.GRUB).splitlines()]
    at = lines.index(f"search --set=root --file {FOLDER}/vmlinuz")
    assert lines[at + 1 : at + 4] == [
        f"linux {FOLDER}/vmlinuz root=/dev/mapper/pve-root ro quiet",
        f"initrd {FOLDER}/initrd.img",
        "boot",
    ]


def test_systemd_boot_reads_its_esp_alone():
    text = card(loader.SYSTEMD_BOOT)
    assert f"    {FOLDER}/vmlinuz\n    {FOLDER}/initrd.img\n" in text
    assert "search --set=root" not in text


def test_words_are_typed_as_the_boot_loader_takes_them():
    more = ("memmap=16M$0x10000000", 'dyndbg="file a +p"')
    assert card(loader.GRUB, more=more).count('quiet memmap=16M\\$0x10000000 dyndbg="file a +p"\n') == 2
    assert 'quiet memmap=16M$0x10000000 dyndbg="file a +p"\n' in card(loader.SYSTEMD_BOOT, more=more)


@pytest.mark.parametrize("name", [loader.GRUB, loader.SYSTEMD_BOOT])
def test_it_is_one_page_with_the_words_of_the_good_boot(name):
    text = card(name)
    assert "    root=/dev/mapper/pve-root ro quiet\n" in text
    assert "BOOT_IMAGE" not in text
    assert "sh /root/transom-undo.sh" in text
    assert len(text.splitlines()) <= 45


@pytest.mark.parametrize("name", [loader.GRUB, loader.SYSTEMD_BOOT])
def test_where_the_words_of_the_good_boot_are_there_already_no_device_is_given_away(name):
    own = "/etc/modprobe.d/zz-transom.conf"
    assert "    root=/dev/mapper/pve-root ro quiet vfio-pci.ids=\n" in card(name, own)
    assert "gives no device to vfio-pci" in card(name, own)
    assert len(card(name, own).splitlines()) <= 45
    given = card(name, own, ("vfio-pci.ids=10de:1c82",))
    assert "    root=/dev/mapper/pve-root ro quiet vfio-pci.ids=10de:1c82\n" in given
    assert "vfio-pci.ids=\n" not in card(name)
