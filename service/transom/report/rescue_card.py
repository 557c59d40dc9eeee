"""One page for whoever sits at the console of a node that does not come back: what changed, and the ways out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from transom.host import grub_words, kernel_args, loader, modprobe
from transom.plan import actions as acts


def text(action: acts.ArmRollback, *, node: str, run: str, within: int, folder: str) -> str:
    """Plain text of less than a page; ``folder`` is where the node keeps the copies."""
    tokens = [token for token in action.cmdline if not token.startswith(("BOOT_IMAGE=", "initrd="))]
    nothing = _gives_away_nothing(action, tokens)
    typed = [*tokens, *nothing]
    words = " ".join(typed if action.loader == loader.SYSTEMD_BOOT else map(grub_words.escape, typed))
    changes = "\n".join(f"  - {change}" for change in action.changes) or "  - nothing but the reboot itself"
    return f"""\
Rescue card of {node}, run {run}

What was changed before the reboot:
{changes}

If the node boots and cannot be reached: wait. Unless it is confirmed, it puts everything back {within} s
after its start by itself and reboots once. To have that at once, at its console as root:
  sh {CARD_PATH}

If it does not boot:
{_prompt(action.loader, words, folder)}{_WHY if nothing else ""}
  Once it is up, log in as root and run: sh {CARD_PATH}

If nothing boots: start a rescue system, mount the root file system, and copy from
  {folder}
the files that `manifest` lists: place, path, kind, name of the copy, mode, owner, time.
"""


CARD_PATH = "/root/transom-undo.sh"
_NOTHING = "vfio-pci.ids="
_WHY = f"""
  `{_NOTHING}` with nothing behind it gives no device to vfio-pci: it is read after the files, which stay as
  they are until the next line."""


def _gives_away_nothing(action: acts.ArmRollback, tokens: Sequence[str]) -> list[str]:
    """Where our file of modules' options changes, in the initramfs too, the words of the good boot alone would boot the same again.
    The kernel command line is read last, also where it is empty (``host.settings.vfio_ids``)."""
    changed = any(modprobe.OWN in change for change in action.changes)
    given = any(kernel_args.key(token) == "vfio_pci.ids" for token in tokens)
    return [_NOTHING] if changed and not given else []


def _prompt(name: str, words: str, folder: str) -> str:
    if name == loader.SYSTEMD_BOOT:
        return f"""\
  In the menu of systemd-boot press e on the entry, and make the line of options:
    {words}
  Enter boots it. If that fails too, add: systemd.unit=rescue.target
  Another entry of the menu has another kernel. The kernel and initramfs that booted before are kept as
    {folder}/vmlinuz
    {folder}/initrd.img
  systemd-boot reads the ESP alone: from a rescue system, copy them there over the two files that the entry
  (loader/entries/*.conf on the ESP) names after `linux` and `initrd`."""
    return f"""\
  In the menu of GRUB press e, and make the words after the kernel on the line that begins with `linux`:
    {words}
  Ctrl-x boots it. If that fails too, add: systemd.unit=rescue.target
  With the kernel and initramfs that booted before, of which copies are kept: press c in the menu (without a
  menu you are there), and type, with Tab to complete names:
    search --set=root --file {folder}/vmlinuz
    linux {folder}/vmlinuz {words}
    initrd {folder}/initrd.img
    boot
  Where /var is a file system of its own, leave /var away; on ZFS put /ROOT/pve-1@ (the root's dataset) before
  each path, on btrfs the subvolume. `ls` tells the disks."""
