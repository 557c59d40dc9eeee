"""Whether a change can be booted once before it is made, and with which parameters. Pure.

Everything on the kernel command line can be tried without touching a file that the next boot but one would read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from transom import model
from transom.host import boot_entries, grub, grub_cfg, kernel_args, loader, modprobe, registry
from transom.plan import actions as acts
from transom.plan import bootnext, forecast, once
from transom.spec import wish

_PLAIN = re.compile(r"[A-Za-z0-9_.,:=/@%+~-]+")
"""What neither GRUB's script language nor a shell reads as anything else."""
_IN_FILES = ("vfio_ids", "blacklist", "module_options", "modules")
_TOLD = "Have a console at hand for the case that it does not start, or first mend what is against a trial."
_HELD = "Mend what is against a trial, or go on without one, with a console at hand: host.trial: off."
_EXT = ("ext2", "ext3", "ext4")


def first(actions: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[once.TryBoot]:
    """The trial, where one is asked for and possible."""
    found = judge(actions, node, facts)
    if isinstance(found, once.TryBoot):
        yield found


def note(actions: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> Iterator[model.Finding]:
    """Why a trial that is asked for does not come about. It holds where what the kernel starts with changes: then the trial would
    have been the only way back."""
    found = judge(actions, node, facts)
    if not isinstance(found, str):
        return
    start = _start(facts, forecast.after(facts, actions))
    changed = [model.Evidence("the next boot's kernel command line", f"{token} is new") for token in start]
    yield model.Finding(
        id="no-trial",
        subject=f"node {node.name}",
        summary="this change is not booted once before it is made, though host.trial asks for it: a node that comes up and cannot "
        "be reached goes back by itself all the same, but a kernel that does not start does not",
        remedy=(_HELD if start else _TOLD) + " Where kexec is meant to serve, say host.trial: kexec.",
        who=model.Who.REPORT,
        evidence=(model.Evidence("trial boot", found), *changed),
        holds=bool(start),
    )


def _start(facts: model.Facts, then: model.Facts) -> list[str]:
    """What the files give then of what decides how the kernel starts, and the running one was not given."""
    given, has = grub.tokens(then), facts.boot.cmdline
    if isinstance(given, model.Unknown) or isinstance(has, model.Unknown):
        return []
    return [
        token
        for token, _, _ in given
        if kernel_args.decides_start(token) and not any(kernel_args.same(token, one) for one in has)
    ]


def running(facts: model.Facts) -> Iterator[model.Finding]:
    """A trial boot of a run that was cut off: it ends by itself, and until then nothing may be begun."""
    if isinstance(facts.keeping, model.Keeping) and facts.keeping.trial:
        yield model.Finding(
            id="trial-running",
            subject="the running boot",
            summary="the node runs a trial boot that nobody confirmed; it goes back by itself",
            remedy=f"Wait {once.WITHIN // 60} minutes from its start, or reboot the node.",
            who=model.Who.REPORT,
            evidence=(model.Evidence("/run/transom-trial", "is there"),),
            holds=True,
        )


def left_running(facts: model.Facts) -> bool:
    """The running kernel is that of a trial, which only a reboot ends."""
    line = facts.boot.cmdline
    return not isinstance(line, model.Unknown) and any(token.startswith(once.MARK) for token in line)


def judge(actions: Sequence[acts.Action], node: wish.NodeWish, facts: model.Facts) -> once.TryBoot | str | None:
    """The trial, why there is none, or None where none is asked for or nothing is to be tried."""
    reboot = next((action for action in actions if isinstance(action, acts.Reboot)), None)
    changes = [action for action in actions if isinstance(action, acts.FILE_ACTIONS) and action.reboot]
    back = any(isinstance(action, acts.RestoreFile) for action in actions)
    if node.trial == "off" or reboot is None or back or not changes:
        return None
    if isinstance(facts.keeping, model.Keeping) and facts.keeping.armed:
        return f"run {facts.keeping.armed.run} has changed files before, and the node goes back unless its next boot is confirmed"
    if reboot.by_hand:
        return "Transom itself runs on this node, which a person reboots"
    if isinstance(facts.standing.ha, tuple) and facts.standing.ha:
        return f"HA services are active here ({', '.join(facts.standing.ha)})"
    line = _line(facts, forecast.after(facts, actions))
    if isinstance(line, str):
        return line
    seen = forecast.of(node, facts, actions)
    drivers = {one.address: forecast.VFIO for one in seen.owners if one.then == forecast.VFIO} if seen else {}
    return _by_some_means(node, facts, reboot.boot_id, line, drivers)


# --- the parameters --------------------------------------------------------------------------------------------------


def _line(facts: model.Facts, then: model.Facts) -> tuple[str, ...] | str:
    """The command line of the trial, or why the change cannot be said by one."""
    plain = forecast.cmdline(facts, then)
    if isinstance(plain, model.Unknown):
        return plain.unknown
    if gone := _only_in_files(facts, then):
        return gone
    line = [*plain, *_said(then, plain)]
    name = hashlib.sha256(" ".join(line).encode()).hexdigest()[:12]
    line += [once.PANIC, f"systemd.wants={once.UNIT}", f"{once.MARK}{name}"]
    odd = next((token for token in line if not _PLAIN.fullmatch(token)), None)
    return f"{odd} has characters that boot loaders read as something else" if odd else tuple(line)


def _items(key: str, facts: model.Facts) -> tuple[str, ...]:
    items = registry.by_key(key).read(facts)
    return () if isinstance(items, model.Unknown) else tuple(item.value for item in items if not item.hides)


def _only_in_files(facts: model.Facts, then: model.Facts) -> str:
    """What the change does that no parameter can say, or ``""``."""
    for key in (*_IN_FILES, "driver_override"):
        was, now = _items(key, facts), _items(key, then)
        if lost := [item for item in was if item not in now]:
            return f"no parameter takes {lost[0]} ({key}) out of the files"
        if key == "driver_override" and (new := [item for item in now if item not in was]):
            return f"no parameter binds a device by its address ({new[0]})"
    was, now, away = _items("softdep", facts), _items("softdep", then), _items("blacklist", then)
    if new := [item for item in now if item not in was and item not in away]:
        return f"no parameter has vfio-pci come before {new[0]} (softdep)"
    return ""


def _said(then: model.Facts, line: Sequence[str]) -> Iterator[str]:
    """What our own files give besides, as parameters."""
    ids, away, options = (_own(key, modprobe.OWN, then) for key in ("vfio_ids", "blacklist", "module_options"))
    loaded = _own("modules", registry.by_key("modules").path, then)
    have = {kernel_args.key(token) for token in line}
    if ids and "vfio_pci.ids" not in have:
        yield f"vfio-pci.ids={','.join(ids)}"
    if away:
        yield f"modprobe.blacklist={','.join(away)}"
    yield from options
    names = [*loaded, *(["vfio_pci"] if ids and "vfio_pci" not in loaded else [])]
    if names:
        yield f"modules_load={','.join(names)}"


def _own(key: str, path: str, facts: model.Facts) -> list[str]:
    items = registry.by_key(key).read(facts)
    return [] if isinstance(items, model.Unknown) else [item.value for item in items if item.path == path]


# --- the means -------------------------------------------------------------------------------------------------------


def _by_some_means(
    node: wish.NodeWish, facts: model.Facts, boot_id: str, line: tuple[str, ...], drivers: dict[str, str]
) -> once.TryBoot | str:
    can, kernel = facts.oneshot, facts.boot.kernel
    if isinstance(can, model.Unknown):
        return can.unknown
    if isinstance(kernel, model.Unknown):
        return kernel.unknown
    why: list[str] = []
    place = bootnext.possible(facts, kernel, line)
    if node.trial != "bootnext":
        found = (_grub if facts.boot.loader == loader.GRUB else _systemd_boot)(facts, can, kernel, line)
        if not isinstance(found, str):
            means, entry, esps = found
            return once.TryBoot(means, boot_id, kernel, line, drivers, entry, esps)
        why.append(found)
    elif not isinstance(place, str):
        esp, whole = place
        return once.TryBoot("bootnext", boot_id, kernel, whole, drivers, "", (esp.name,), esp.disk, esp.part)
    # never unasked: a firmware that keeps the command line to itself leaves a kernel that waits at its panic
    why.append(f"not by BootNext: {place}" if isinstance(place, str) else "the firmware can with `trial: bootnext`")
    if node.trial == "kexec":
        if "kexec" in can.tools:
            return once.TryBoot("kexec", boot_id, kernel, line, drivers)
        why.append("and kexec is not installed")
    return "; ".join(why)


_Means = tuple[Literal["grub", "systemd-boot"], str, tuple[str, ...]]


def _grub(facts: model.Facts, can: model.OneShot, kernel: str, line: tuple[str, ...]) -> _Means | str:
    """GRUB clears its one-shot entry before it boots it, if it can write its environment: to ext on a plain partition alone
    (``save_env``: no diskfilter, no ZFS). Otherwise the entry would be booted for ever."""
    menu = facts.file(boot_entries.GRUB_CFG)
    if facts.boot.manager != loader.MKCONFIG or not isinstance(menu, model.HostFile) or not isinstance(menu.text, str):
        return "GRUB's menu is not the /boot/grub/grub.cfg of this node alone"
    kind, _, device = can.menu.partition(" on ")
    if kind not in _EXT or device.startswith(("dm-", "md", "zd", "bcache")):
        return (
            f"GRUB cannot write its environment on {can.menu or 'what /boot/grub lies on'}: a one-shot entry would stay"
        )
    if not can.grubenv or "grub-reboot" not in can.tools:
        return "there is no /boot/grub/grubenv, or no grub-reboot"
    if "save_env next_entry" not in menu.text or "custom.cfg" not in menu.text:
        return "/boot/grub/grub.cfg does not read one-shot entries or custom.cfg"
    body = [one for one in grub_cfg.body(menu.text, kernel) if one.split()[:1] not in (["savedefault"], ["recordfail"])]
    if not body:
        return f"/boot/grub/grub.cfg has no entry of the running kernel {kernel}"
    lines = "".join(f"{grub_cfg.with_tokens(one, line)}\n" for one in body)
    return "grub", f"menuentry 'Transom: trial boot' --unrestricted --id {once.ENTRY} {{\n{lines}}}\n", ()


def _systemd_boot(facts: model.Facts, can: model.OneShot, kernel: str, line: tuple[str, ...]) -> _Means | str:
    """systemd-boot clears LoaderEntryOneShot before it boots the entry that it names."""
    if facts.boot.loader != loader.SYSTEMD_BOOT:
        return "how this boot loader boots an entry once is not known"
    if "bootctl" not in can.tools:
        return "bootctl is not installed"
    if isinstance(facts.esps, model.Unknown):
        return facts.esps.unknown
    entries = boot_entries.entries(facts)
    if isinstance(entries, model.Unknown):
        return entries.unknown
    places = {entry.place for entry in entries}
    for esp in facts.esps:
        texts = {} if isinstance(esp.files, model.Unknown) else esp.files
        for path, text in sorted(texts.items()):
            if f"ESP {esp.name} {path}" in places and (f"vmlinuz-{kernel}" in text or f"/{kernel}/" in text):
                return "systemd-boot", _entry(text, line), tuple(one.name for one in facts.esps)
    return f"no entry of the running kernel {kernel} was found on an ESP"


def _entry(text: str, line: tuple[str, ...]) -> str:
    kept = [one for one in text.splitlines() if one.split(None, 1)[:1] not in (["title"], ["options"], ["sort-key"])]
    return "\n".join(["title Transom: trial boot", *kept, f"options {' '.join(line)}"]) + "\n"
