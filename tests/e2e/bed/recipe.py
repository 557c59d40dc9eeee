"""What the machines are made of: packages, configuration, and what is done in them once before they are kept.

The configuration differs from Debian's only where emulation would take minutes otherwise (drivers on the disk and in the initramfs,
hooks of what the machine has not, mitigations) and where a machine without a screen needs it (serial console).
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

_DRIVERS = (
    *("gpu", "video", "vfio", "iommu", "virtio", "block", "i2c", "firmware", "char/hw_random"),
    *("net/virtio_net.ko", "net/net_failover.ko"),
)
LATER = ("systemd-boot", "systemd-boot-efi", "efibootmgr", "libpopt0")
"""Packages that lie in ``DEBS`` of the root file system, for machines that boot by systemd-boot."""
DEBS = "var/cache/bed"

LEFT_OUT = (
    *(f"exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")),
    *(f"exclude=/lib/modules/*/kernel/{name}/*" for name in ("drivers", "sound", "net", "fs")),
    *(f"include=/lib/modules/*/kernel/drivers/{name}*" for name in _DRIVERS),
    "include=/lib/modules/*/kernel/net/core/failover.ko",
    *(
        f"include=/lib/modules/*/kernel/fs/{name}*"
        for name in ("ext4", "jbd2", "mbcache", "fat", "nls", "efivarfs", "autofs")
    ),
)
"""What dpkg does not unpack: what nobody reads here, and drivers of hardware that the machine has not (udev would load some)."""

INITRAMFS = "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n"
"""``MODULES=dep`` would take twice as long, ``most`` ten times."""

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

CMDLINE = "console=ttyS0,115200n8 mitigations=off no_timer_check audit=0 nowatchdog"
"""On a busy machine emulated timers come too late for the kernel's check of them, and it panics."""

FILES = {
    "etc/hostname": f"{NAME}\n",
    "etc/hosts": f"127.0.0.1 localhost\n10.0.2.15 {NAME}\n",
    "etc/fstab": f"UUID={UUID} / ext4 errors=remount-ro 0 0\n",
    "etc/network/interfaces": (
        # by udev's word, not at a time: on a slow machine the device may come after networking.service
        "auto lo\niface lo inet loopback\n\nallow-hotplug enp0s3\niface enp0s3 inet static\n"
        "\taddress 10.0.2.15/24\n\tgateway 10.0.2.2\n"
    ),
    "etc/ssh/sshd_config.d/bed.conf": "PermitRootLogin prohibit-password\nUseDNS no\n",
    "etc/initramfs-tools/conf.d/bed": INITRAMFS,
    # bochs, so that the initramfs decides who gets the display
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\nbochs\n",
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
printf '#!/bin/sh\\n[ "$*" = list ] || exit 255\\n' >/usr/sbin/qm
chmod 755 /usr/sbin/qm
"""
"""The folders in which a Proxmox VE node keeps its VMs, without pmxcfs behind them, and a ``qm`` that lists none."""

PREPARE = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
systemctl set-default multi-user.target 2>/dev/null
systemctl mask ifupdown-pre.service kexec-load.service kexec.service getty@tty1.service serial-getty@ttyS0.service \\
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer e2scrub_reap.service \\
  systemd-tmpfiles-clean.timer logrotate.timer man-db.timer systemd-logind.service systemd-binfmt.service \\
  proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount systemd-update-utmp.service \\
  systemd-pcrphase.service systemd-pcrphase-sysinit.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \\
  sys-kernel-tracing.mount modprobe@fuse.service modprobe@drm.service modprobe@loop.service modprobe@dm_mod.service \\
  modprobe@configfs.service modprobe@efi_pstore.service 2>/dev/null
{NODE}
cd /usr/share/initramfs-tools/hooks && chmod -x dmsetup fsck keymap resume thermal
cd / && update-initramfs -u -k all
"""
"""Run in the unpacked root file system, by chroot: at the speed of the host."""

ESP_UUID = "5CA1-AB1E"
UEFI_CMDLINE = f"root=UUID={UUID} ro {CMDLINE} quiet"
UEFI_FILES = {
    **{name: text for name, text in FILES.items() if name != "etc/default/grub"},
    "etc/fstab": f"{FILES['etc/fstab']}UUID={ESP_UUID} /boot/efi vfat umask=0077 0 0\n",
    "etc/machine-id": f"{UUID.replace('-', '')}\n",  # entries are named by it
    "etc/kernel/cmdline": f"{UEFI_CMDLINE}\n",
}
UEFI = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
dpkg --purge grub-pc grub-pc-bin grub2-common grub-common >/dev/null
mkdir -p /boot/efi
dpkg --install /{DEBS}/*.deb >/dev/null
rm -rf /boot/grub /{DEBS}
"""
"""Run by chroot on machines that boot by systemd-boot."""
UEFI_BAKE = """
set -eu
bootctl install
version=$(uname -r)
kernel-install add "$version" "/boot/vmlinuz-$version" "/boot/initrd.img-$version"
rm -r /boot/efi/first /boot/efi/loader/entries/first.conf
sync
"""

GRUB = f"""
rm -rf /{DEBS}
cd /etc/grub.d && chmod -x 05_debian_theme 20_linux_xen 30_os-prober 30_uefi-firmware
grub-editenv /boot/grub/grubenv create
"""
"""Run by chroot on machines that boot by GRUB."""

BAKE = "set -eu; update-grub; sync"
"""Run once in a new machine, over SSH: what asks the devices."""

CONTENT = repr((SUITE, NAME, GRUB_MODULES, sorted(FILES.items()), PREPARE, GRUB, BAKE))
UEFI_CONTENT = repr((SUITE, NAME, ESP_UUID, UEFI_CMDLINE, sorted(UEFI_FILES.items()), PREPARE, UEFI, UEFI_BAKE))
"""All of it, to tell whether a kept image is still this one."""
