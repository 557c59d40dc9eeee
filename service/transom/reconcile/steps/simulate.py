"""Trying a change of what boots aside: the node's own tools on the new files, then a look at what they made. Nothing is changed.

Whatever a tool complains of, or makes of the files other than was planned, ends the run before its first write.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator

from transom import errors
from transom.host import grub_cfg, kernel_args
from transom.plan import rehearsal
from transom.reconcile import effect as eff
from transom.reconcile import world as w
from transom.ssh import files as remote

QUICK, FULL = 300, 1800
"""Seconds: update-grub and its like on a slow disk; an initramfs as well."""
LONGEST = 2047
"""Bytes of a kernel command line on x86 (COMMAND_LINE_SIZE); what is longer is cut off."""
_HINT = "nothing was changed"
_ROOM = 'set -- $(stat -f -c "%a %S" /boot) $(stat -c %s "$1"); echo "$(($1 * $2)) $3"'


def prepare(action: rehearsal.Simulate, world: w.World) -> eff.Effect:
    del action, world
    return eff.Effect()


def apply(action: rehearsal.Simulate, effect: eff.Effect, world: w.World, context: eff.Context) -> str:
    """Rejected with the tool's own words, or with what came out otherwise than planned."""
    del effect, context
    tried = try_aside(action, world.host, rehearsal.ASIDE)
    if not tried.ok:
        raise errors.Rejected("; ".join(tried.said), hint=_HINT)
    return "; ".join(tried.said)


def try_aside(action: rehearsal.Simulate, host: w.Host, folder: str) -> rehearsal.Tried:
    """Let the node's tools work; ``folder`` on the node is gone again afterwards."""
    try:
        done = host.run(rehearsal.argv(action, folder), timeout=FULL if action.kernel else QUICK)
        if done.exit != 0:
            return rehearsal.Tried(False, (f"tried aside, and it fails: {_tail(done.stdout + done.stderr)}",))
        made = _Made(action, host, folder)
        if problems := list(made.problems()):
            return rehearsal.Tried(False, (f"tried aside, and it comes out otherwise: {'; '.join(problems)}",))
        return rehearsal.Tried(True, tuple(_told(action)), made.cmdline)
    finally:
        host.run(["rm", "-rf", folder])


def _tail(output: bytes) -> str:
    """The last line, which is what the tool stopped at, before what it said on the way."""
    *before, last = output.decode(errors="replace").strip().splitlines()[-5:] or ["it says nothing"]
    way = f" (before that: {' / '.join(before)})" if before else ""
    return f"{last}{way}. Mend what it names on the node, or take it out of the documents"


def _told(action: rehearsal.Simulate) -> Iterator[str]:
    if action.loader:
        yield f"every boot entry would have {' '.join(action.tokens) or 'what is planned'}"
    if action.modules:
        yield f"modprobe finds {', '.join(action.modules)}"
    if action.kernel:
        yield f"an initramfs of {action.kernel} can be built"
    if not (action.loader or action.modules or action.kernel):
        yield "the files can be laid out"


@dataclasses.dataclass
class _Made:
    """What the tools have made of the new files."""

    action: rehearsal.Simulate
    host: w.Host
    folder: str
    cmdline: tuple[str, ...] = ()
    """Of the first boot entry, once ``problems`` has looked."""

    def problems(self) -> Iterator[str]:
        action = self.action
        if action.loader == "grub":
            yield from self._menu()
        elif action.loader == "systemd-boot":
            self.cmdline = kernel_args.split(self._result(rehearsal.CMDLINE))
            yield from _line("the line of /etc/kernel/cmdline", self.cmdline, action)
        if action.vfio_ids:
            yield from _ids(action, self._result(rehearsal.DEPENDS))
        if action.kernel:
            yield from self._image()

    def _result(self, name: str) -> str:
        data = remote.read(self.host, f"{self.folder}/{name}")
        if data is None:
            raise errors.Garbled(f"the node made no {name} when it was tried aside")
        return data.decode(errors="replace")

    def _menu(self) -> Iterator[str]:
        entries = [entry for entry in grub_cfg.entries(self._result(rehearsal.GRUB_CFG)) if not entry.recovery]
        if not entries:
            yield "grub-mkconfig made no entry that boots"
        for entry in entries:
            self.cmdline = self.cmdline or entry.tokens
            yield from _line(f"the entry {entry.title!r}", entry.tokens, self.action)

    def _image(self) -> Iterator[str]:
        listed = set(self._result(f"{rehearsal.INITRD}.list").splitlines())
        for path, text in self.action.files.items():
            inside = _inside(path)
            if inside and (inside in listed) != (text is not None):
                yield f"the initramfs {'lacks' if text is not None else 'still has'} {inside}"
        done = self.host.script(_ROOM, [f"{self.folder}/{rehearsal.INITRD}"], read_only=True)
        free, size = (int(word) for word in done.stdout.split()) if done.exit == 0 else (0, 0)
        if size > free or not size:
            yield f"the initramfs takes {size >> 20} MiB, and /boot has {free >> 20} MiB free"


def _line(what: str, tokens: tuple[str, ...], action: rehearsal.Simulate) -> Iterator[str]:
    lacking = [want for want in action.tokens if not _has(tokens, want)]
    left = [token for token in action.gone if _has(tokens, token)]
    if lacking:
        yield f"{what} lacks {' '.join(lacking)}"
    if left:
        yield f"{what} still has {' '.join(left)}"
    if (size := len(" ".join(tokens).encode())) > LONGEST:
        yield f"{what} has {size} bytes, and the kernel takes {LONGEST}"


def _has(tokens: tuple[str, ...], wanted: str) -> bool:
    return any(kernel_args.same(token, wanted) for token in tokens)


def _ids(action: rehearsal.Simulate, depends: str) -> Iterator[str]:
    """``insmod …/vfio-pci.ko ids=8086:9bc8``: the last ``ids=`` counts. One that is built in has no such line."""
    lines = [shlex.split(line) for line in depends.splitlines() if "vfio-pci.ko" in line or "vfio_pci.ko" in line]
    given = [word.removeprefix("ids=") for line in lines for word in line if word.startswith("ids=")]
    have = {one.lower() for one in given[-1].split(",")} if given else set()
    if lines and (lacking := [id for id in action.vfio_ids if id not in have]):
        yield f"vfio-pci would not be given {', '.join(lacking)} (modprobe -D says {' '.join(lines[-1])})"


def _inside(path: str) -> str:
    """Where initramfs-tools puts the file in the image; empty where it puts none, or where an image may lack it."""
    if path.startswith("/etc/modprobe.d/"):
        return path[1:]
    return path.removeprefix("/etc/initramfs-tools/") if path.startswith("/etc/initramfs-tools/scripts/") else ""
