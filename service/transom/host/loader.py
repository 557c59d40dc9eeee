r"""Which boot loader started the running kernel, and what writes that loader's configuration. Judged, never guessed.

What tells of *this* boot: GRUB (and no other loader here) puts ``BOOT_IMAGE=`` on the command line; systemd-boot starts the
kernel's EFI stub, with ``initrd=\EFI\…``; both leave their name in the EFI variable LoaderInfo (GRUB from 2.12 on); the firmware
names the file that it started (``efibootmgr -v``), which may be the kernel itself. A machine without EFI cannot have booted by
systemd-boot.

What tells who writes: proxmox-boot-tool keeps a list of ESPs, /etc/kernel/proxmox-boot-uuids, and puts kernels, initrds and
either systemd-boot's entries or GRUB's configuration on them (proxmox-kernel-helper, zz-proxmox-boot). Without that list GRUB
reads /boot/grub/grub.cfg, and systemd-boot what kernel-install wrote.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

from transom import model
from transom.host import kernel_args

GRUB, SYSTEMD_BOOT, STUB = "grub", "systemd-boot", "efi-stub"
STANDS_FOR = "transom.loader"
"""Parameter of a trial that the firmware started itself: the loader that the node boots by otherwise."""
_KERNEL = re.compile(r"vmlinuz|bzimage|\\efi\\linux\\")
MKCONFIG, BOOT_TOOL, KERNEL_INSTALL = "grub-mkconfig", "proxmox-boot-tool", "kernel-install"
UUIDS = "/etc/kernel/proxmox-boot-uuids"
GRUB_CFG, LOADER_CONF, ENTRIES = "grub/grub.cfg", "loader/loader.conf", "loader/entries/"
"""Where on an ESP they lie."""


def signs(
    tokens: tuple[str, ...] | model.Unknown, *, info: str, started: str, bios: bool
) -> tuple[model.LoaderSign, ...]:
    """``info``: the text of LoaderInfo; ``started``: the line of ``efibootmgr -v`` about BootCurrent; both may be empty.
    ``bios``: the machine is known to have booted without EFI, and has a /boot/grub."""
    found = [] if isinstance(tokens, model.Unknown) else list(_on_the_line(tokens))
    if info:
        name = info.split(" ")[0].lower()
        found.append(model.LoaderSign("EFI variable LoaderInfo", info, name))
    if any(sign.says.startswith(f"{STANDS_FOR}=") for sign in found):
        return tuple(found)
    path = started.lower()
    if _KERNEL.search(path) and not info:  # then the initrd= is the firmware's, not systemd-boot's
        return (model.LoaderSign("efibootmgr -v", started, STUB),)
    if "systemd-boot" in path:
        found.append(model.LoaderSign("efibootmgr -v", started, SYSTEMD_BOOT))
    elif "grub" in path:  # shim says nothing: what it starts is not named
        found.append(model.LoaderSign("efibootmgr -v", started, GRUB))
    if bios and not found:
        found.append(model.LoaderSign("/sys/firmware/efi", "is not there, and /boot/grub is", GRUB))
    return tuple(found)


def _on_the_line(tokens: tuple[str, ...]) -> Iterator[model.LoaderSign]:
    trial = next((token for token in tokens if kernel_args.key(token) == STANDS_FOR), "")
    if trial:  # its initrd= is ours
        yield model.LoaderSign("/proc/cmdline", trial, kernel_args.value(trial) or "")
        return
    for token in tokens:
        key, value = kernel_args.key(token), kernel_args.value(token) or ""
        if key == "BOOT_IMAGE":
            yield model.LoaderSign("/proc/cmdline", token, GRUB)
        elif key == "initrd" and "\\" in value:
            yield model.LoaderSign("/proc/cmdline", token, SYSTEMD_BOOT)


def booted(found: tuple[model.LoaderSign, ...]) -> str | model.Unknown:
    """The one loader that all signs name."""
    names = sorted({sign.loader for sign in found})
    if not names:
        return model.Unknown("nothing tells which boot loader started the running kernel")
    if len(names) > 1:
        return model.Unknown("the signs disagree: " + ", ".join(f"{sign.source} says {sign.loader}" for sign in found))
    return names[0]


def settle(
    boot: model.Boot, esps: tuple[model.Esp, ...] | model.Unknown, *, listed: bool | model.Unknown
) -> model.Boot:
    """``boot`` with what writes its loader's configuration. ``listed``: proxmox-boot-tool has a list of ESPs."""
    if isinstance(boot.loader, model.Unknown):
        return dataclasses.replace(boot, manager=boot.loader)
    if isinstance(listed, model.Unknown):
        return dataclasses.replace(boot, manager=listed)
    if not listed:
        return dataclasses.replace(
            boot, manager={GRUB: MKCONFIG, SYSTEMD_BOOT: KERNEL_INSTALL}.get(boot.loader) or _no(boot)
        )
    if isinstance(esps, model.Unknown):
        return dataclasses.replace(boot, manager=esps)
    against = conflicts(boot, esps)
    if against:
        return dataclasses.replace(boot, manager=model.Unknown(f"{against[0].source}: {against[0].says}"))
    return dataclasses.replace(boot, manager=BOOT_TOOL if boot.loader in {GRUB, SYSTEMD_BOOT} else _no(boot))


def _no(boot: model.Boot) -> model.Unknown:
    return model.Unknown(f"what configures {boot.loader} is not known")


def conflicts(boot: model.Boot, esps: tuple[model.Esp, ...] | model.Unknown) -> tuple[model.Evidence, ...]:
    """What cannot be true together: signs of two loaders; a loader that is not the one on proxmox-boot-tool's ESPs."""
    if len({sign.loader for sign in boot.signs}) > 1:
        return tuple(model.Evidence(sign.source, sign.says) for sign in boot.signs)
    if isinstance(boot.loader, model.Unknown) or isinstance(esps, model.Unknown) or not esps:
        return ()
    told = tuple(model.Evidence(sign.source, sign.says) for sign in boot.signs)
    kinds = {one.name: kinds_on(one.files) for one in esps if not isinstance(one.files, model.Unknown)}
    if kinds and not any(boot.loader in there for there in kinds.values()):
        return (
            *(
                model.Evidence(f"ESP {name}", f"is set up for {' and '.join(there) or 'nothing'}")
                for name, there in kinds.items()
            ),
            *told,
        )
    if boot.loader == GRUB and (image := _root_image(boot.signs)):
        return (model.Evidence("/proc/cmdline", f"{image}: GRUB read the root file system, not the ESPs of {UUIDS}"),)
    return ()


def kinds_on(files: Mapping[str, str]) -> tuple[str, ...]:
    """Which loaders an ESP is set up for, as ``proxmox-boot-tool status`` tells it."""
    return tuple(name for name, path in ((SYSTEMD_BOOT, LOADER_CONF), (GRUB, GRUB_CFG)) if path in files)


def _root_image(found: tuple[model.LoaderSign, ...]) -> str:
    """``BOOT_IMAGE=`` of a kernel in a folder /boot: on an ESP kernels lie at the top. ZFS has ``/ROOT/pve-1@/boot/vmlinuz-…``."""
    return next((sign.says for sign in found if sign.says.startswith("BOOT_IMAGE=") and "/boot/" in sign.says), "")
