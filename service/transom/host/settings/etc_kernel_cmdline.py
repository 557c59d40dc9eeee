"""Kernel command line tokens on hosts that boot by systemd-boot, on the one line of /etc/kernel/cmdline.

The same wishes as ``kernel_cmdline``, which is for GRUB: each of the two applies where its loader is the one that booted.
"""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import cmdline_file, conditions, loader, setting
from transom.host.settings import kernel_cmdline
from transom.spec import wish

_CHOOSE = conditions.selector("etc_kernel_cmdline")


def select(wants: tuple[wish.Want, ...], facts: model.Facts) -> setting.Selection | model.Unknown:
    """Nothing on a host that boots by GRUB; Unknown while the loader is."""
    booted = facts.boot.loader
    if isinstance(booted, model.Unknown):
        return model.Unknown(f"boot loader: {booted.unknown}")
    if booted != loader.SYSTEMD_BOOT:
        return setting.Selection((), instead=f"the node boots by {booted}, which does not read {cmdline_file.PATH}")
    odd = [want.value for want in wants if "\\" in want.value]
    if odd:
        return model.Unknown(f"{odd[0]} has a backslash, which proxmox-boot-tool's shell may change")
    return _CHOOSE(wants, facts)


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """Another value for a key that has one, among the tokens that are not ours."""
    return kernel_cmdline.rivalries(wants, items)


SETTING = dataclasses.replace(
    kernel_cmdline.SETTING,
    key="etc_kernel_cmdline",
    path=cmdline_file.PATH,
    select=select,
    read=cmdline_file.items,
    clashes=clashes,
    edit=cmdline_file.edit,
    release=cmdline_file.release,
    shared=True,
)
