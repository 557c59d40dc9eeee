"""Options of kernel modules: ``options kvm ignore_msrs=1``. Items are ``module.parameter=value``, as on the kernel command line.

kmod gives a module the options of all files in their order, then those of the command line; of two values the module takes the
last (see ``modprobe``). ``vfio_pci.ids`` is ``vfio_ids``' own and no item here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from transom import errors, model
from transom.host import (
    conditions,
    grub,
    grub_edit,
    initramfs_modules,
    kernel_args,
    line_items,
    lines,
    modprobe,
    module_names,
    numbers,
    setting,
    source,
)

_BOOLEAN = {"1": "Y", "y": "Y", "Y": "Y", "on": "Y", "0": "N", "n": "N", "N": "N", "off": "N"}
_SWITCH = {"y": 1, "Y": 1, "on": 1, "n": 0, "N": 0, "off": 0}
_ELSEWHERE = frozenset({"vfio_pci.ids"})


@dataclasses.dataclass(frozen=True)
class _Option:
    """One word of an ``options`` line."""

    directive: modprobe.Directive
    word: source.Chars
    item: str

    @property
    def alone(self) -> bool:
        return len(modprobe.option_words(self.directive)) == 1


def normal(item: str) -> str:
    """``kvm-intel.nested="1"`` is ``kvm_intel.nested=1``."""
    key, equals, value = item.replace('"', "").partition("=")
    return f"{module_names.normal(key)}{equals}{value}"


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every option of every module: modprobe.d as kmod reads it, then the kernel command line; as hiding, those with which the
    initramfs loads modules."""
    found, line, loading = modprobe.ordered(facts), grub.tokens(facts), initramfs_modules.items(facts)
    if isinstance(found, model.Unknown):
        return found
    if isinstance(line, model.Unknown):
        return line
    if isinstance(loading, model.Unknown):
        return loading
    given = [
        setting.Item(one.item, file.path, one.word[0].line)
        for file in found
        for one in _options(str(file.text), file.path)
    ]
    words = [(normal(token), path, number, False) for token, path, number in line]
    words += [(normal(item), initramfs_modules.PATH, number, True) for item, number in loading]
    return tuple(given) + tuple(
        setting.Item(*word) for word in words if "." in _key(word[0]) and _key(word[0]) not in _ELSEWHERE
    )


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """Another value for the same parameter; the last foreign one counts, and beside it the initramfs' (``initramfs_modules``)."""
    found: list[setting.Clash] = []
    for want in wants:
        rivals = [item for item in items if item.path != modprobe.OWN and _key(item.value) == _key(want)]
        others, late = ([one for one in rivals if one.hides is hides] for hides in (False, True))
        for rival in others[-1:] + late[-1:]:
            if not _same(want, rival.value):
                found.append(setting.Clash(want, rival, f"{rival.value} contradicts {want}"))
    return tuple(found)


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line an option; one that its user put another option on loses our word alone."""
    for item in sorted(owned - set(wanted)):
        while (one := next((one for one in _options(text, "") if one.item == item), None)) is not None:
            text = _without(text, one)
    have = {one.item for one in _options(text, "")}
    for item in dict.fromkeys(wanted):
        if item not in have:
            module, _, parameter = item.partition(".")
            text = lines.add(text, f"options {module} {parameter}", unfinished=modprobe.unfinished(text))
    return text


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether the loaded module shows the value; Unknown for one that is not loaded, or hides the parameter."""
    shown = facts.module_options.get(_key(item))
    return (
        model.Unknown(f"{_key(item)} is not shown in /sys/module")
        if shown is None
        else _shows(kernel_args.value(item) or "1", shown)
    )


def _shows(wanted: str, shown: str) -> bool | model.Unknown:
    """``/sys/module`` shows what the module made of a value: numbers decimal, switches as Y and N, arrays filled up. A word it may
    show as any other (``vmentry_l1d_flush=never`` as ``not required``), so of those none tells that the value was not taken."""
    mine, theirs = [[_plain(one) for one in text.split(",")] for text in (wanted, shown)]
    pairs = list(zip(mine, theirs, strict=False))
    if len(pairs) == len(mine) and all(map(_equal, mine, theirs)):
        return True
    if all(isinstance(one, int) and isinstance(other, int) for one, other in pairs):
        return False
    return model.Unknown(f"shown as {shown}, which may be what the module makes of {wanted}")


def _plain(value: str) -> int | str:
    """A number as the kernel reads it, a switch as 1 or 0, else the word itself."""
    return _SWITCH[value] if value in _SWITCH else numbers.plain(value)


def _equal(wanted: int | str, shown: int | str) -> bool:
    """-1 of an unsigned parameter is shown as its largest value."""
    if isinstance(wanted, int) and isinstance(shown, int) and wanted < 0:
        return shown in (wanted, wanted + 2**32, wanted + 2**64)
    return wanted == shown


def release(text: str, line: int, item: str) -> str:
    """The line without the option; on GRUB's command line the token taken out."""
    now = lines.behind_taken_over(text, line)
    for one in _options(text, ""):
        first, last = one.directive.first, one.directive.last
        if first <= now <= last and one.item == item:
            kept = "" if one.alone else lines.between(text, _without(text, one), first, last)
            return line_items.replaced(text, first, last, kept, again=now != line)
    if any(one.names("options") and one.first <= now <= one.last for one in modprobe.directives(text, "")):
        raise errors.Void(f"line {line} no longer gives {item}")
    return grub_edit.release(text, line, lambda token: (0, len(token)) if normal(token) == item else None)


def _options(text: str, path: str) -> Iterator[_Option]:
    for one in modprobe.directives(text, path):
        module = one.names("options")
        for word in modprobe.option_words(one) if module else ():
            item = normal(f"{module}.{source.text(word)}")
            if _key(item) not in _ELSEWHERE:
                yield _Option(one, word, item)


def _without(text: str, one: _Option) -> str:
    if one.alone:
        return lines.drop(text, set(range(one.directive.first, one.directive.last + 1)))
    return source.cut(text, one.word, one.directive.chars)


def _key(item: str) -> str:
    return kernel_args.key(item)


def _same(one: str, other: str) -> bool:
    values = (kernel_args.value(item) or "1" for item in (one, other))
    mine, theirs = (_BOOLEAN.get(value, value) for value in values)
    return _key(one) == _key(other) and mine == theirs


SETTING = setting.HostSetting(
    key="module_options",
    path=modprobe.OWN,
    after=(model.Step.INITRAMFS,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("module_options", normal),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
)
