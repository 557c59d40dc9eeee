"""Trying a change of what boots aside: the node's own tools on the new files, then a look at what they made. Nothing is changed.

Whatever a tool complains of, or makes of the files other than was planned, ends the run before its first write.
"""

from __future__ import annotations

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
    try:
        done = world.host.run(rehearsal.argv(action), timeout=FULL if action.kernel else QUICK)
        if done.exit != 0:
            raise errors.Rejected(f"tried aside, and it fails: {_tail(done.stdout + done.stderr)}", hint=_HINT)
        problems = list(_problems(action, world.host))
    finally:
        world.host.run(["rm", "-rf", rehearsal.ASIDE])
    if problems:
        raise errors.Rejected(f"tried aside, and it comes out otherwise: {'; '.join(problems)}", hint=_HINT)
    return "; ".join(_told(action))


def _tail(output: bytes) -> str:
    return " / ".join(output.decode(errors="replace").strip().splitlines()[-5:])


def _told(action: rehearsal.Simulate) -> Iterator[str]:
    if action.loader:
        yield f"every boot entry would have {' '.join(action.tokens) or 'what is planned'}"
    if action.modules:
        yield f"modprobe finds {', '.join(action.modules)}"
    if action.kernel:
        yield f"an initramfs of {action.kernel} can be built"
    if not (action.loader or action.modules or action.kernel):
        yield "the files can be laid out"


def _problems(action: rehearsal.Simulate, host: w.Host) -> Iterator[str]:
    if action.loader == "grub":
        yield from _menu(action, _result(host, rehearsal.GRUB_CFG))
    elif action.loader == "systemd-boot":
        yield from _line("the line of /etc/kernel/cmdline", kernel_args.split(_result(host, rehearsal.CMDLINE)), action)
    if action.vfio_ids:
        yield from _ids(action, _result(host, rehearsal.DEPENDS))
    if action.kernel:
        yield from _image(action, host)


def _result(host: w.Host, name: str) -> str:
    data = remote.read(host, f"{rehearsal.ASIDE}/{name}")
    if data is None:
        raise errors.Garbled(f"the node made no {name} when it was tried aside")
    return data.decode(errors="replace")


def _menu(action: rehearsal.Simulate, text: str) -> Iterator[str]:
    entries = [entry for entry in grub_cfg.entries(text) if not entry.recovery]
    if not entries:
        yield "grub-mkconfig made no entry that boots"
    for entry in entries:
        yield from _line(f"the entry {entry.title!r}", entry.tokens, action)


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


def _image(action: rehearsal.Simulate, host: w.Host) -> Iterator[str]:
    listed = set(_result(host, f"{rehearsal.INITRD}.list").splitlines())
    for path, text in action.files.items():
        inside = _inside(path)
        if inside and (inside in listed) != (text is not None):
            yield f"the initramfs {'lacks' if text is not None else 'still has'} {inside}"
    done = host.script(_ROOM, [f"{rehearsal.ASIDE}/{rehearsal.INITRD}"], read_only=True)
    free, size = (int(word) for word in done.stdout.split()) if done.exit == 0 else (0, 0)
    if size > free or not size:
        yield f"the initramfs takes {size >> 20} MiB, and /boot has {free >> 20} MiB free"


def _inside(path: str) -> str:
    """Where initramfs-tools puts the file in the image; empty where it puts none, or where an image may lack it."""
    if path.startswith("/etc/modprobe.d/"):
        return path[1:]
    return path.removeprefix("/etc/initramfs-tools/") if path.startswith("/etc/initramfs-tools/scripts/") else ""
