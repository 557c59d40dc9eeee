"""Trying a change of what boots before it is made: on the node, with the new files where that shell alone sees them."""

from __future__ import annotations

import dataclasses
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from typing import Literal

from transom.plan import typed

ASIDE = "/var/lib/transom/simulate"
"""Where the results lie until they have been looked at."""
ASIDE_OF_PLAN = "/var/lib/transom-plan."
"""The same for a plan that is only looked at, with something random behind it: it leaves nothing, not even Transom's own folder."""
GRUB_CFG, CMDLINE, INITRD, DEPENDS = "grub.cfg", "cmdline", "initrd.img", "depends"
"""Names of the results: the menu, systemd-boot's line, the initramfs, what loading the modules would do."""
_OWN = """\
own() {
  at=${1%/*}
  while [ -n "$at" ] && [ ! -d "$at" ]; do at=${at%/*}; done
  [ -n "$at" ] || return 3
  case $seen in
  *" $at "*) ;;
  *)
    count=$((count + 1)) seen="$seen$at "
    cp -ax -- "$at" "$aside/$count"
    mount --bind -- "$aside/$count" "$at"
    ;;
  esac
  mkdir -p -- "${1%/*}"
}
"""
"""Puts a private copy over the folder in which ``$1`` lies, or will lie: what is not there yet cannot be mounted over."""
_NAMESPACE = "unshare --mount --propagation slave sh -eu"


@dataclasses.dataclass(frozen=True)
class Simulate:
    """Let the node's own tools work on the new files in a mount namespace, and see that what comes of it is what is wanted."""

    files: Mapping[str, str | None]
    """Path → text; None for one that goes."""
    modes: Mapping[str, int]
    loader: Literal["grub", "systemd-boot", ""]
    """What has to be tried of the boot configuration; empty for nothing."""
    tokens: tuple[str, ...] = ()
    """Kernel parameters that every entry must have then."""
    gone: tuple[str, ...] = ()
    """Kernel parameters that none may have any more."""
    modules: tuple[str, ...] = ()
    """Modules that our own files name: each must be found."""
    vfio_ids: tuple[str, ...] = ()
    """Ids that vfio-pci must be given."""
    sysctl: tuple[str, ...] = ()
    """Files below /proc/sys that must be there."""
    kernel: str = ""
    """Whose initramfs is built aside too; empty for none."""
    kind: Literal["simulate"] = "simulate"

    def describe(self) -> str:
        tries = {
            "the boot menu": self.loader == "grub",
            "the kernel command line": self.loader == "systemd-boot",
            f"the loading of {', '.join(self.modules)}": bool(self.modules),
            f"the initramfs of {self.kernel}": bool(self.kernel),
        }
        return f"try {', '.join(name for name, tried in tries.items() if tried) or 'the files'} aside, changing nothing"

    def script(self, folder: str = ASIDE) -> str:
        """What runs in the mount namespace; the results come to ``folder``."""
        return "\n".join(self._lines(folder)) + "\n"

    def _lines(self, folder: str) -> Iterator[str]:
        aside = f"{folder}/"
        yield f"LC_ALL=C aside={folder} count=0 seen=' '"
        yield "export LC_ALL"
        yield 'rm -rf -- "$aside"'
        yield 'mkdir -p -m 0700 -- "$aside"'
        yield _OWN.rstrip("\n")
        # Folders before those in them, so that no copy hides one that was made before.
        for path in sorted(self.files, key=lambda one: (posixpath.dirname(one).count("/"), one)):
            text, quoted = self.files[path], shlex.quote(path)
            yield f"own {quoted}"
            yield f"rm -f -- {quoted}" if text is None else typed.to_file(path, text)
            if path in self.modes:
                yield f"chmod {self.modes[path]:04o} {quoted}"
        for path in self.sysctl:
            why = f"the running kernel has no {path}: mistyped, or of a module that is not loaded yet"
            yield f"[ -e {shlex.quote(path)} ] || {{ echo {shlex.quote(why)}; exit 1; }}"
        if self.loader == "grub":
            yield f"grub-mkconfig -o {aside}{GRUB_CFG}"
        elif self.loader == "systemd-boot":
            yield f"cat /etc/kernel/cmdline >{aside}{CMDLINE}"
        for module in self.modules:
            yield f"modprobe -D {shlex.quote(module)} >>{aside}{DEPENDS}"
        if self.kernel:
            yield f"mkinitramfs -o {aside}{INITRD} {shlex.quote(self.kernel)}"
            yield f"lsinitramfs {aside}{INITRD} >{aside}{INITRD}.list"

    def shell(self) -> tuple[str, ...]:
        results = " ".join(f"{ASIDE}/{name}" for name in (GRUB_CFG, CMDLINE, DEPENDS))
        look = f"grep -hsE '^[[:space:]]*linux[[:space:]]|root=|insmod' {results} || true"
        return typed.to_program(_NAMESPACE, self.script(), "SIMULATE"), look, f"rm -rf {ASIDE}"

    def undo_shell(self) -> tuple[str, ...]:
        return ()


@dataclasses.dataclass(frozen=True)
class Tried:
    """What came of trying a plan aside without carrying it out. ``ok`` is None where nothing was tried."""

    ok: bool | None
    said: tuple[str, ...]
    """What was found, or why nothing was tried; when not ``ok``, what is wrong."""
    cmdline: tuple[str, ...] = ()
    """Kernel parameters of the first boot entry, as the node's own tools make it of the new files."""


def argv(action: Simulate, folder: str = ASIDE) -> list[str]:
    """The command that tries it."""
    return [*shlex.split(_NAMESPACE), "-c", action.script(folder)]
