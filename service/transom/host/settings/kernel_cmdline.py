"""Kernel command line tokens, appended in a GRUB drop-in that is read after /etc/default/grub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transom import model
from transom.host import cmdline_lists, conditions, grub, grub_edit, kernel_args, loader, setting
from transom.spec import wish

_CHOOSE = conditions.selector("kernel_cmdline")


def select(wants: tuple[wish.Want, ...], facts: model.Facts) -> setting.Selection | model.Unknown:
    """Nothing on a host that boots by another loader; Unknown while the loader is."""
    booted = facts.boot.loader
    if isinstance(booted, model.Unknown):
        return model.Unknown(f"boot loader: {booted.unknown}")
    if booted != loader.GRUB:
        return setting.Selection((), instead=f"the node boots by {booted}, which does not read {grub.MAIN}")
    return _CHOOSE(wants, facts)


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """The tokens of the merged command line, each with the line that gives it; then the lines of later files that drop ours."""
    merged = grub.merged(facts)
    if isinstance(merged, model.Unknown):
        return merged
    given = tuple(setting.Item(word.token, word.chars[0].path, word.chars[0].line) for word in merged.words)
    return given + tuple(
        setting.Item("", one.path, one.line, hides=True) for one in merged.hiding if one.path != grub.OWN
    )


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """Another value for a key that has one (the last foreign one counts), what keeps the kernel from reading ours,
    or a later file that drops what we append."""
    end = next((number for number, item in enumerate(items) if item.value == kernel_args.END), len(items))
    foreign = tuple(item for item in items[:end] if item.path != grub.OWN)
    found: list[setting.Clash] = []
    for want in wants:
        if _satisfied(want, foreign):
            continue
        found += rivalries((want,), foreign)
        found += [
            setting.Clash(want, item, "sends all that follows to init, not to the kernel") for item in items[end:][:1]
        ]
        found += [
            setting.Clash(want, item, f"replaces {grub.DEFAULT} after {grub.OWN}") for item in foreign if item.hides
        ]
    return tuple(found)


def rivalries(wants: tuple[str, ...], foreign: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """The last foreign token that gives a key another value than a wanted one does, or undoes what it switches."""
    found: list[setting.Clash] = []
    for want in wants:
        rivals = _rivals(want, foreign)
        if kernel_args.sums(kernel_args.key(want)):
            found += [] if _satisfied(want, foreign) else list(_undone(want, rivals))[-1:]
        elif rivals and not kernel_args.repeatable(kernel_args.key(want)) and not _satisfied(want, foreign):
            found.append(setting.Clash(want, rivals[-1], f"{rivals[-1].value} contradicts {want}"))
    return tuple(found)


def _undone(want: str, rivals: list[setting.Item]) -> Iterator[setting.Clash]:
    """The switches among ``rivals`` that stand against one of the wanted token's."""
    key = kernel_args.key(want)
    stands = kernel_args.standing(key, [item.value for item in rivals])
    for item in rivals:
        for part in kernel_args.parts(item.value):
            if part in stands and any(kernel_args.opposed(key, one, part) for one in kernel_args.parts(want)):
                yield setting.Clash(want, item, f"{item.value} contradicts {want}", part=f"{key}={part}")


def _rivals(want: str, foreign: tuple[setting.Item, ...]) -> list[setting.Item]:
    key = kernel_args.key(want)
    return [item for item in foreign if not item.hides and kernel_args.key(item.value) == key]


def _satisfied(want: str, foreign: tuple[setting.Item, ...]) -> bool:
    """Of a key with one value the last counts."""
    key = kernel_args.key(want)
    if kernel_args.sums(key):
        return _stands(want, [item.value for item in foreign if not item.hides])
    rivals = _rivals(want, foreign)
    counting = rivals if kernel_args.repeatable(key) else rivals[-1:]
    return any(kernel_args.same(want, item.value) for item in counting)


def _stands(want: str, tokens: Iterable[str]) -> bool:
    """Whether every switch of a wanted token is in effect after ``tokens``."""
    parts = kernel_args.parts(want)
    if not parts:
        return any(kernel_args.same(want, token) for token in tokens)
    return set(parts) <= kernel_args.standing(kernel_args.key(want), tokens)


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether the running kernel was given the token; of a key with one value the last counts."""
    running = facts.boot.cmdline
    if isinstance(running, model.Unknown):
        return running
    key = kernel_args.key(item)
    if kernel_args.sums(key):
        return _stands(item, kernel_args.for_kernel(running))
    rivals = [token for token in kernel_args.for_kernel(running) if kernel_args.key(token) == key]
    return any(kernel_args.same(item, token) for token in (rivals if kernel_args.repeatable(key) else rivals[-1:]))


def release(text: str, line: int, item: str) -> str:
    """The assignment without the token, or switch of one; without an item: the assignment made to keep what stands before it."""
    if not item:
        return grub_edit.keep_earlier(text, line)
    key = kernel_args.key(item)
    if kernel_args.sums(key):
        return cmdline_lists.release(text, line, kernel_args.value(item) or "", {key}, str)
    return grub_edit.release(text, line, lambda token: (0, len(token)) if token == item else None)


SETTING = setting.HostSetting(
    key="kernel_cmdline",
    path=grub.OWN,
    after=(model.Step.BOOTCONFIG,),
    impact=model.Impact.HOST_REBOOT,
    select=select,
    read=read,
    clashes=clashes,
    edit=grub_edit.edit,
    effective=effective,
    release=release,
    gives=kernel_args.gives,
)
