"""What runs after files changed that the boot is built from, by what writes this host's boot configuration."""

from __future__ import annotations

from transom import model
from transom.host import loader

_EACH_KERNEL = (
    "for image in /boot/vmlinuz-*; do "
    'version=${image#/boot/vmlinuz-}; kernel-install add "$version" "$image" "/boot/initrd.img-$version" || exit; done'
)
"""``kernel-install add-all`` came with systemd 254, after Debian 12."""
_WHOLE = (
    'cfg=$(readlink -f /boot/grub/grub.cfg) && new=$cfg.transom && grub-mkconfig -o "$new" && '
    '{ [ ! -e "$cfg" ] || { chmod --reference="$cfg" "$new" && chown --reference="$cfg" "$new"; }; } && '
    'sync "$new" && mv -fT "$new" "$cfg" && sync "${cfg%/*}" || { rm -f "$new" "$new.new"; exit 1; }'
)
"""As ``update-grub``, which copies what it has checked over grub.cfg (``cat grub.cfg.new >grub.cfg``): a loss of power in there
leaves half a menu. Here grub-mkconfig writes and checks (grub-script-check) a file beside it, which then takes its place."""
_BOOTCONFIG = {
    loader.MKCONFIG: f"sh -c '{_WHOLE}'",
    loader.BOOT_TOOL: "proxmox-boot-tool refresh",
    loader.KERNEL_INSTALL: f"sh -c '{_EACH_KERNEL}'",
}
_SYSCTL = "/etc/sysctl.d/zz-transom.conf"
_TRIAL = "/var/lib/transom/trial/end"
USUAL = {
    model.Step.TRIAL: f"sh -c '[ ! -e {_TRIAL} ] || sh {_TRIAL}'",
    model.Step.INITRAMFS: "update-initramfs -u -k all",
    model.Step.BOOTCONFIG: _BOOTCONFIG[loader.MKCONFIG],
    model.Step.SYSCTL: f"sh -c '[ ! -e {_SYSCTL} ] || sysctl -p {_SYSCTL}'",
}


_SAID = {
    USUAL[model.Step.TRIAL]: f"sh {_TRIAL}, where it is there",
    USUAL[model.Step.SYSCTL]: f"sysctl -p {_SYSCTL}, where it is there",
    _BOOTCONFIG[loader.MKCONFIG]: "grub-mkconfig, whose menu replaces grub.cfg once it is whole",
    _BOOTCONFIG[loader.KERNEL_INSTALL]: "kernel-install add for each kernel",
}


def said(line: str) -> str:
    """A command for people: those that are programs by themselves are named."""
    return _SAID.get(line, line)


def command(step: model.Step, boot: model.Boot) -> str | model.Unknown:
    """One line of shell. initramfs-tools' own hooks bring a new image to the ESPs (proxmox-boot-sync, systemd-boot)."""
    if step is not model.Step.BOOTCONFIG:
        return USUAL[step]
    if isinstance(boot.manager, model.Unknown):
        return boot.manager
    return _BOOTCONFIG.get(boot.manager) or model.Unknown(f"nothing is known to rebuild for {boot.manager}")
