"""What the machines are made of: packages, configuration, and what is done in them once before they are kept.

The configuration differs from Debian's only where emulation would take minutes otherwise (drivers in the initramfs, its
compression, mitigations) and where a machine without a screen needs it (serial console).
"""

from __future__ import annotations

SUITE = "bookworm"
UUID = "5ca1ab1e-0000-4000-8000-000000000001"
NAME = "pve1"
DISPLAY = "1234:1111"
"""``bochs-display`` at 00:02.0, which bochs-drm drives."""

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "openssh-server", "ifupdown", "iproute2", "kmod", "pciutils", "procps"),
    *("initramfs-tools", "zstd", "grub-pc", "kexec-tools", "python3-minimal", "linux-image-amd64"),
)
"""linux-image-cloud-amd64 would be smaller, but has no DRM driver: there would be nothing to take the display from."""

GRUB_MODULES = (
    *("biosdisk", "part_msdos", "part_gpt", "ext2", "search", "search_fs_uuid", "normal", "configfile", "serial"),
    *(
        "terminal",
        "loadenv",
        "test",
        "echo",
        "linux",
        "gzio",
        "reboot",
        "halt",
        "ls",
        "cat",
        "boot",
        "minicmd",
        "sleep",
    ),
)

CMDLINE = "console=ttyS0,115200n8 mitigations=off no_timer_check"
"""On a busy machine emulated timers come too late for the kernel's check of them, and it panics."""

FILES = {
    "etc/hostname": f"{NAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n10.0.2.15 {NAME}\n",
    "etc/fstab": f"UUID={UUID} / ext4 errors=remount-ro 0 1\n",
    "etc/network/interfaces": (
        # by udev's word, not at a time: on a slow machine the device may come after networking.service
        "auto lo\niface lo inet loopback\n\nallow-hotplug enp0s3\niface enp0s3 inet static\n"
        "\taddress 10.0.2.15/24\n\tgateway 10.0.2.2\n"
    ),
    "etc/ssh/sshd_config.d/bed.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
    "etc/initramfs-tools/conf.d/bed": "MODULES=dep\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n"
        f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{CMDLINE}"\n'
        'GRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\nGRUB_DISABLE_OS_PROBER=true\n'
    ),
}

NODE = f"""
mkdir -p /etc/pve/nodes/{NAME}/qemu-server /etc/pve/nodes/{NAME}/lxc /etc/pve/priv
ln -s nodes/{NAME} /etc/pve/local
printf '{{"version":1,"ids":{{}}}}' >/etc/pve/.vmlist
"""
"""The folders in which a Proxmox VE node keeps its VMs; there is no pmxcfs behind them."""

BAKE = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
systemctl mask ifupdown-pre.service kexec-load.service kexec.service getty@tty1.service serial-getty@ttyS0.service \\
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service \\
  systemd-tmpfiles-clean.timer logrotate.timer man-db.timer
{NODE}
grub-editenv /boot/grub/grubenv create
update-initramfs -u -k all
update-grub
sync
"""
"""Run once in a new machine, over SSH."""

CONTENT = repr((SUITE, UUID, NAME, PACKAGES, GRUB_MODULES, CMDLINE, sorted(FILES.items()), BAKE))
"""All of it, to tell whether a kept image is still this one."""
