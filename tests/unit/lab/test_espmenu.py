"""systemd-boot's menu as the lab's machines read it."""

from __future__ import annotations

import pytest

from transom.lab import bootmenu, espmenu


def entry(kernel: str, options: str) -> str:
    folder = f"/EFI/proxmox/{kernel}"
    return f"title x\noptions {options}\nlinux {folder}/vmlinuz-{kernel}\ninitrd {folder}/initrd.img-{kernel}\n"


def test_the_newest_entry_that_the_default_names_boots() -> None:
    files = {
        "loader/loader.conf": "timeout 3\ndefault proxmox-*\n",
        "loader/entries/proxmox-6.8.4-2-pve.conf": entry("6.8.4-2-pve", "root=a quiet"),
        "loader/entries/proxmox-6.8.12-4-pve.conf": entry("6.8.12-4-pve", "root=b"),
        "loader/entries/zz-9.9.conf": entry("9.9", "root=c"),
    }
    chosen = espmenu.default(files)
    assert espmenu.cmdline(chosen) == r"initrd=\EFI\proxmox\6.8.12-4-pve\initrd.img-6.8.12-4-pve root=b"
    pinned = espmenu.default({**files, "loader/loader.conf": "default proxmox-6.8.4-2-pve.conf\n"})
    assert pinned.words == ("root=a", "quiet")


@pytest.mark.parametrize("files", [{}, {"loader/entries/proxmox-6.conf": "title x\n"}])
def test_without_an_entry_it_does_not_boot(files: dict[str, str]) -> None:
    with pytest.raises(bootmenu.BadMenu):
        espmenu.default(files)
