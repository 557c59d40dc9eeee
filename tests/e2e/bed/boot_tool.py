"""An imitation of proxmox-boot-tool, which Debian has not: after its documented behaviour, for systemd-boot alone.

ESPs are listed by UUID and normally not mounted. ``refresh`` copies every kernel with its initramfs to each of them and writes one
loader entry a kernel, with the first line of /etc/kernel/cmdline; hooks run it after a kernel or an initramfs has changed.
"""

from __future__ import annotations

from bed import recipe

UUIDS = "etc/kernel/proxmox-boot-uuids"

_TOOL = r"""#!/bin/sh
# An imitation for tests: status, refresh, init, kernel list|pin|unpin; systemd-boot only.
set -eu
list=/etc/kernel/proxmox-boot-uuids pin=/etc/kernel/proxmox-boot-pin once=/etc/kernel/next-boot-pin

# A mount namespace of its own, as the original: nobody else sees the ESPs mounted.
if [ -z "${BOOT_TOOL_NAMESPACE:-}" ]; then
    echo "Re-executing '$0' in new private mount namespace.." >&2
    BOOT_TOOL_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi

kernels() { for image in /boot/vmlinuz-*; do printf '%s\n' "${image#/boot/vmlinuz-}"; done | sort -V; }

line() {
    if [ -f /etc/kernel/cmdline ]; then head -n 1 /etc/kernel/cmdline
    else tr ' ' '\n' </proc/cmdline | grep -v '^initrd=' | paste -sd' '
    fi
}

# Runs $2... in the ESP with UUID $1.
on_esp() {
    device=/dev/disk/by-uuid/$1 at=/var/tmp/espmounts/$1
    shift
    [ -e "$device" ] || { echo "WARN: $device does not exist - clean '$list'! - skipping" >&2; return 0; }
    mkdir -p "$at"
    mount -t vfat "$device" "$at"
    (cd "$at" && "$@")
    umount "$at"
    rmdir "$at"
}

default() {
    for file in "$once" "$pin"; do
        [ ! -s "$file" ] || { echo "proxmox-$(cat "$file").conf"; return; }
    done
    echo 'proxmox-*'
}

write() {
    echo "Copying and configuring kernels on $device"
    mkdir -p loader/entries
    for version in $(kernels); do
        echo "	Copying kernel and creating boot-entry for $version"
        mkdir -p "EFI/proxmox/$version"
        cp -u --preserve=timestamps "/boot/vmlinuz-$version" "/boot/initrd.img-$version" "EFI/proxmox/$version/"
        {
            echo 'title    Proxmox Virtual Environment'
            echo "version  $version"
            echo "options  $(line)"
            echo "linux    /EFI/proxmox/$version/vmlinuz-$version"
            echo "initrd   /EFI/proxmox/$version/initrd.img-$version"
        } >"loader/entries/proxmox-$version.conf"
    done
    printf 'timeout 3\ndefault %s\n' "$(default)" >loader/loader.conf
}

refresh() {
    [ -s "$list" ] || { echo "No $list found, skipping ESP sync." >&2; return 0; }
    case " $(line)" in *' root='*) ;; *) echo 'No root= parameter in /etc/kernel/cmdline found!' >&2; exit 1 ;; esac
    for uuid in $(cat "$list"); do on_esp "$uuid" write; done
}

told() {
    echo "$uuid is configured with: uefi (versions: $(ls -1 EFI/proxmox | paste -sd, | sed 's/,/, /g'))"
}

status() {
    [ -s "$list" ] || { echo "E: $list does not exist." >&2; exit 2; }
    echo 'System currently booted with uefi'
    for uuid in $(cat "$list"); do on_esp "$uuid" told; done
}

case "${1-} ${2-}" in
'init '*)
    uuid=$(blkid -o value -s UUID "$2")
    on_esp "$uuid" sh -c 'bootctl --no-pager --esp-path="$PWD" install'
    echo "$uuid" >>"$list"
    refresh
    ;;
'refresh '*) refresh ;;
'status '*) status ;;
'kernel list')
    printf 'Manually selected kernels:\nNone.\n\nAutomatically selected kernels:\n'
    kernels
    [ ! -s "$pin" ] || printf '\nPinned kernel:\n%s\n' "$(cat "$pin")"
    ;;
'kernel pin')
    [ -f "/boot/vmlinuz-$3" ] || { echo "E: no kernel $3" >&2; exit 1; }
    if [ "${4-}" = --next-boot ]; then echo "$3" >"$once"; else echo "$3" >"$pin"; fi
    refresh
    ;;
'kernel unpin')
    rm -f "$pin" "$once"
    refresh
    ;;
*) echo "E: unexpected arguments '$*'" >&2; exit 1 ;;
esac
"""

_HOOK = "#!/bin/sh\n[ ! -x /usr/sbin/proxmox-boot-tool ] || exec /usr/sbin/proxmox-boot-tool refresh\n"

EXECUTABLE = {
    "usr/sbin/proxmox-boot-tool": _TOOL,
    "etc/kernel/postinst.d/zz-proxmox-boot": _HOOK,
    "etc/kernel/postrm.d/zz-proxmox-boot": _HOOK,
    "etc/initramfs/post-update.d/proxmox-boot-sync": _HOOK,
}
FILES = {**recipe.UEFI_FILES, "etc/fstab": recipe.FILES["etc/fstab"], **EXECUTABLE}
"""The ESP is not mounted at boot."""
PREPARE = f"chmod 755 {' '.join(f'/{path}' for path in EXECUTABLE)}\n"
"""Run by chroot, last."""
BAKE = f"""
set -eu
proxmox-boot-tool init /dev/disk/by-uuid/{recipe.ESP_UUID}
mount /dev/disk/by-uuid/{recipe.ESP_UUID} /mnt
rm -r /mnt/first /mnt/loader/entries/first.conf
umount /mnt
sync
"""
CONTENT = repr((recipe.UEFI_CONTENT, sorted(FILES.items()), PREPARE))
