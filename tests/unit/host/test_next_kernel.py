"""Which kernel the boot loader takes by default."""

from __future__ import annotations

import pytest

from transom import model
from transom.host import loader, next_kernel

TWO = """### BEGIN /etc/grub.d/00_header ###
if [ "${{next_entry}}" ] ; then
   set default="${{next_entry}}"
else
   set default="{default}"
fi
### END /etc/grub.d/00_header ###
### BEGIN /etc/grub.d/09_own ###
{own}### END /etc/grub.d/09_own ###
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Proxmox VE GNU/Linux' --class proxmox {{
\tlinux\t/boot/vmlinuz-6.8.12-11-pve root=/dev/mapper/pve-root ro quiet
}}
submenu 'Advanced options for Proxmox VE GNU/Linux' {{
\tmenuentry 'Proxmox VE GNU/Linux, with Linux 6.8.12-11-pve' --class proxmox {{
\t\tlinux\t/boot/vmlinuz-6.8.12-11-pve root=/dev/mapper/pve-root ro quiet
\t}}
\tmenuentry 'Proxmox VE GNU/Linux, with Linux 6.8.12-1-pve' --class proxmox {{
\t\tlinux\t/boot/vmlinuz-6.8.12-1-pve root=/dev/mapper/pve-root ro quiet
\t}}
}}
### END /etc/grub.d/10_linux ###
"""
OWN = "menuentry 'memory test' {\n\tlinux16 /memtest\n}\n"
LIKE = OWN.replace("memory test", "Proxmox VE GNU/Linux, memory test")


def facts(
    boot: str, manager: str, files: dict[str, str] | None = None, esps: tuple[model.Esp, ...] = ()
) -> model.Facts:
    return model.Facts(
        node="pve1",
        boot=model.Boot("b", "6.8.12-1-pve", (), boot, True, 0, manager),
        files={path: model.HostFile(path, text, "") for path, text in (files or {}).items()},
        covered=(),
        esps=esps,
    )


@pytest.mark.parametrize(
    ("default", "own", "kernel"),
    [
        ("0", "", "6.8.12-11-pve"),
        ("gnulinux-advanced-7c>gnulinux-6.8.12-1-pve-advanced-7c", "", "6.8.12-1-pve"),
        (
            "Advanced options for Proxmox VE GNU/Linux>Proxmox VE GNU/Linux, with Linux 6.8.12-11-pve",
            "",
            "6.8.12-11-pve",
        ),
        ("gnulinux-advanced-7c>gnulinux-5.15.74-1-pve-advanced-7c", "", None),
        ("0", OWN, None),
        ("0", LIKE, None),
        ("1>2", "", None),
        ("${saved_entry}", "", None),
    ],
)
@pytest.mark.parametrize("manager", [loader.MKCONFIG, loader.BOOT_TOOL])
def test_of_grub(default: str, own: str, kernel: str | None, manager: str) -> None:
    text = TWO.format(default=default, own=own)
    if manager == loader.MKCONFIG:
        found = next_kernel.of(facts(loader.GRUB, manager, {"/boot/grub/grub.cfg": text}))
    else:
        found = next_kernel.of(facts(loader.GRUB, manager, esps=(model.Esp("2A13-C6F9", {"grub/grub.cfg": text}),)))
    assert (None if isinstance(found, model.Unknown) else found) == kernel


def entry(version: str) -> tuple[str, str]:
    where = f"/EFI/proxmox/{version}"
    return (
        f"loader/entries/proxmox-{version}.conf",
        f"title Proxmox\nversion {version}\noptions quiet\nlinux {where}/vmlinuz-{version}\n",
    )


@pytest.mark.parametrize(
    ("conf", "kernel"),
    [
        ("timeout 3\ndefault proxmox-*\n", "6.8.12-11-pve"),
        ("timeout 3\n", "6.8.12-11-pve"),
        ("default proxmox-6.8.12-1-pve.conf\n", "6.8.12-1-pve"),
        ("default proxmox-6.8.12-1-pve\n", "6.8.12-1-pve"),
        ("#default proxmox-6.8.12-1-pve.conf\n", "6.8.12-11-pve"),
        ("default @saved\n", None),
    ],
)
def test_of_systemd_boot(conf: str, kernel: str | None) -> None:
    files = {"loader/loader.conf": conf, **dict(entry(one) for one in ("6.8.12-1-pve", "6.8.12-11-pve"))}
    found = next_kernel.of(facts(loader.SYSTEMD_BOOT, loader.BOOT_TOOL, esps=(model.Esp("2A13-C6F9", files),)))
    assert (None if isinstance(found, model.Unknown) else found) == kernel


def test_of_what_kernel_install_wrote() -> None:
    one = "title Debian\noptions quiet\nlinux /9f3c/6.12.41+deb13-amd64/linux\n"
    files = {"loader/loader.conf": "default 9f3c-*\n", "loader/entries/9f3c-6.12.41+deb13-amd64.conf": one}
    esps = (model.Esp("/boot/efi", files),)
    assert next_kernel.of(facts(loader.SYSTEMD_BOOT, loader.KERNEL_INSTALL, esps=esps)) == "6.12.41+deb13-amd64"


def test_what_is_not_seen_is_unknown() -> None:
    assert isinstance(next_kernel.of(facts(loader.GRUB, loader.MKCONFIG)), model.Unknown)
