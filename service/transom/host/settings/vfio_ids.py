"""Devices that vfio-pci takes at boot: ``options vfio-pci ids=8086:9bc8,…``. The last ``ids=`` counts, so one line gives all.

An id is ``vendor:device[:subvendor:subdevice[:class[:mask]]]`` in hex (drivers/vfio/pci/vfio_pci.c, ``vfio_pci_fill_ids``).
"""

from __future__ import annotations

import dataclasses
import posixpath

from transom import errors, model
from transom.host import (
    cmdline_lists,
    conditions,
    initramfs_modules,
    kernel_args,
    line_items,
    lines,
    modprobe,
    setting,
    source,
)

_KEYS = frozenset({"vfio_pci.ids"})


@dataclasses.dataclass(frozen=True)
class _Option:
    """One ``ids=`` and the line that it stands on; ``parts`` are its ids as characters of the file."""

    directive: modprobe.Directive
    word: source.Chars
    parts: tuple[source.Chars, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(normal(source.text(part)) for part in self.parts if part)


@dataclasses.dataclass(frozen=True)
class _Given:
    """What one ``ids=`` gives, wherever it stands."""

    ids: tuple[str, ...]
    path: str
    line: int


def normal(written: str) -> str:
    """An id in lower case."""
    return written.strip('"').lower()


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """What others give as merged (their last ``ids=`` alone) and what our own line gives, in the order of reading; behind them,
    as hiding, what the initramfs gives vfio-pci when it is the one that loads it."""
    given, loading = _given(facts), _of_initramfs(facts)
    if isinstance(given, model.Unknown):
        return given
    if isinstance(loading, model.Unknown):
        return loading
    own = [one for one in given if one.path == modprobe.OWN][-1:]
    foreign = [one for one in given if one.path != modprobe.OWN][-1:]
    items: list[setting.Item] = []
    for one in sorted(own + foreign, key=given.index):
        items += [setting.Item(value, one.path, one.line) for value in one.ids]
        if not one.ids and _after_ours(one.path):
            items.append(setting.Item("", one.path, one.line, hides=True))
    for one in loading:
        items += [setting.Item(value, one.path, one.line, hides=True) for value in one.ids or ("",)]
    return tuple(items)


def clashes(wants: tuple[str, ...], items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """Ids of others that our line would take away, or a later line that takes ours away; none when others give all of them."""
    foreign = [item for item in items if item.path not in (modprobe.OWN, initramfs_modules.PATH)]
    late = [item for item in items if item.path == initramfs_modules.PATH]
    return (*_clashes(wants, foreign), *_late_clashes(wants, late))


def _late_clashes(wants: tuple[str, ...], late: list[setting.Item]) -> tuple[setting.Clash, ...]:
    """The initramfs gives vfio-pci other ids than those that are wanted: which of both it gets, hangs on what loads it first."""
    given = {item.value for item in late}
    if not wants or not late or given == set(wants):
        return ()
    missing = next((want for want in wants if want not in given), wants[0])
    other = next((item for item in late if item.value not in wants), late[0])
    why = "the initramfs loads vfio-pci with this ids=, which then counts instead of that of modprobe.d"
    return (setting.Clash(missing, other, why),)


def _clashes(wants: tuple[str, ...], foreign: list[setting.Item]) -> tuple[setting.Clash, ...]:
    missing = [want for want in wants if want not in {item.value for item in foreign}]
    if not foreign or not missing:
        return ()
    if _after_ours(foreign[0].path):
        return (setting.Clash(missing[0], foreign[0], f"read after {modprobe.OWN}, and the last ids= counts"),)
    return tuple(
        setting.Clash(
            missing[0], item, f"{item.value} would no longer go to vfio-pci: the last ids= counts, which would be ours"
        )
        for item in foreign
        if item.value not in wants
    )


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """Ids go into and out of the last ``ids=`` of our file, which is made when there is none."""
    unwanted = owned - set(wanted)
    text = _without(text, unwanted) if unwanted else text
    option = _own_option(text)
    missing = [item for item in dict.fromkeys(wanted) if option is None or item not in option.ids]
    if not missing:
        return text
    if option is None:
        return lines.add(text, f"options vfio-pci ids={','.join(missing)}", unfinished=modprobe.unfinished(text))
    end = option.word[-1].start if option.word[-1].text == '"' else option.word[-1].end
    return text[:end] + "," + ",".join(missing) + text[end:]


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether every device with this id is bound to vfio-pci; Unknown when the host has no such device."""
    if isinstance(facts.pci, model.Unknown):
        return facts.pci
    devices = [device for device in facts.pci if matches(item, device)]
    if not devices:
        return model.Unknown(f"no device {item} on this host")
    if unread := next((device.driver for device in devices if isinstance(device.driver, model.Unknown)), None):
        return unread
    return all(device.driver == "vfio-pci" for device in devices)


def release(text: str, line: int, item: str) -> str:
    """The line with the id taken out of its list, on GRUB's command line too; without an item: with its empty ``ids=`` gone."""
    now = lines.behind_taken_over(text, line)
    for option in _options(text, ""):
        one = option.directive
        if not one.first <= now <= one.last:
            continue
        if item not in option.ids and (item or option.ids):
            raise errors.Void(f"line {line} no longer gives {item}")
        empty = set(option.ids) <= {item} and len(modprobe.option_words(one)) == 1
        kept = "" if empty else lines.between(text, _out_of(text, option, frozenset({item})), one.first, one.last)
        return line_items.replaced(text, one.first, one.last, kept, again=now != line)
    return cmdline_lists.release(text, line, item, _KEYS, normal)


def _given(facts: model.Facts) -> tuple[_Given, ...] | model.Unknown:
    found = modprobe.ordered(facts)
    if isinstance(found, model.Unknown):
        return found
    listings = cmdline_lists.read(facts, _KEYS)
    if isinstance(listings, model.Unknown):
        return listings
    options = [option for file in found for option in _options(str(file.text), file.path)]
    return tuple(_Given(one.ids, one.directive.path, one.word[0].line) for one in options) + tuple(
        _Given(tuple(normal(part) for part in one.parts if part), one.path, one.line) for one in listings
    )


def _of_initramfs(facts: model.Facts) -> tuple[_Given, ...] | model.Unknown:
    """The last ``ids=`` of the line that loads vfio-pci; empty when there is none."""
    found = initramfs_modules.items(facts)
    if isinstance(found, model.Unknown):
        return found
    lists = [(kernel_args.value(item) or "", line) for item, line in found if kernel_args.key(item) in _KEYS]
    return tuple(
        _Given(tuple(normal(part) for part in ids.split(",") if part), initramfs_modules.PATH, line)
        for ids, line in lists[-1:]
    )


def _options(text: str, path: str) -> tuple[_Option, ...]:
    return tuple(
        _Option(one, word, _parts(word[4:]))
        for one in modprobe.directives(text, path)
        if one.names("options") == "vfio_pci"
        for word in modprobe.option_words(one)
        if source.text(word).startswith("ids=")
    )


def _own_option(text: str) -> _Option | None:
    """The ``ids=`` of our file that is ours to edit: the last, if it gives any. (A line put first because the end of the file would
    swallow it stays ours, whatever follows.)"""
    options = _options(text, "")
    giving = [option for option in options if option.ids]
    return giving[-1] if giving and (options[-1].ids or modprobe.unfinished(text)) else None


def _parts(chars: source.Chars) -> tuple[source.Chars, ...]:
    parts: list[list[source.Char]] = [[]]
    for char in chars:
        if char.text == ",":
            parts.append([])
        elif char.text != '"':
            parts[-1].append(char)
    return tuple(tuple(part) for part in parts)


def _without(text: str, unwanted: frozenset[str]) -> str:
    """Our ids out of the ``ids=`` that counts; a line that gave nothing else goes, and then the one before it counts."""
    while (option := _own_option(text)) is not None and unwanted & set(option.ids):
        if set(option.ids) <= unwanted and len(modprobe.option_words(option.directive)) == 1:
            text = lines.drop(text, set(range(option.directive.first, option.directive.last + 1)))
        else:
            text = _out_of(text, option, unwanted)
    return text


def _out_of(text: str, option: _Option, unwanted: frozenset[str]) -> str:
    """The text with these ids, and the commas that set them apart, cut out; the whole word when none is left."""
    if set(option.ids) <= unwanted:
        return source.cut(text, option.word, option.directive.chars)
    kept_before = False
    cuts: list[tuple[int, int]] = []
    for index, part in enumerate(option.parts):
        goes = bool(part) and normal(source.text(part)) in unwanted
        if goes and kept_before:
            cuts.append((_comma_before(option, part), part[-1].end))
        elif goes:
            cuts.append((part[0].start, _next_start(option, index)))
        kept_before = kept_before or not goes
    for start, end in reversed(cuts):
        text = text[:start] + text[end:]
    return text


def _comma_before(option: _Option, part: source.Chars) -> int:
    return max(char.start for char in option.word if char.text == "," and char.start < part[0].start)


def _next_start(option: _Option, index: int) -> int:
    """Where what follows the comma behind a part begins."""
    end = option.parts[index][-1].end
    return min(char.end for char in option.word if char.text == "," and char.start >= end)


def _after_ours(path: str) -> bool:
    return "/modprobe.d/" not in path or posixpath.basename(path) > posixpath.basename(modprobe.OWN)


def matches(item: str, device: model.PciDevice) -> bool:
    """Whether an item of ``ids=`` means the device."""
    fields = item.split(":")
    return device.id == ":".join(fields[:2]) and (len(fields) < 4 or device.subsystem == ":".join(fields[2:4]))


SETTING = setting.HostSetting(
    key="vfio_ids",
    path=modprobe.OWN,
    after=(model.Step.INITRAMFS,),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("vfio_ids", normal),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
    whole=True,
)
