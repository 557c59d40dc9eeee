"""Modules that systemd loads at boot.

systemd-modules-load reads modules-load.d from the root file system (modules-load.d(5)); initramfs-tools has a list of its own,
so no new initramfs is needed here. /etc/modules counts because Debian links it as modules-load.d/modules.conf.
"""

from __future__ import annotations

import posixpath

from transom import model
from transom.host import conditions, files, line_items, lines, module_names, setting

OWN = "/etc/modules-load.d/transom.conf"
_LEGACY, _LINK = "/etc/modules", "/etc/modules-load.d/modules.conf"
_FOLDER = "/etc/modules-load.d/*.conf"
_OTHERS = ("/run/modules-load.d/*.conf", "/usr/local/lib/modules-load.d/*.conf", "/usr/lib/modules-load.d/*.conf")
_GONE = {"vfio_virqfd": conditions.Gone(">=6.2", "folded into vfio at 6.2")}


def _places(text: str) -> tuple[line_items.Place, ...]:
    """One name a line; ``#`` and ``;`` begin comments (modules-load.d(5))."""
    named = [(number, line.strip()) for number, line in enumerate(lines.split(text), 1)]
    return tuple(
        line_items.Place(module_names.normal(name), at, at) for at, name in named if name and name[0] not in "#;"
    )


_FORM = line_items.Form(_places, lambda item: item, lambda _text: False)


def read(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every module named in /etc/modules and modules-load.d; the files of a name in /etc hide those in /run and /usr."""
    legacy = files.readable(facts, _LEGACY)
    own = files.listed(facts, _FOLDER)
    if isinstance(legacy, model.Unknown):
        return legacy
    if isinstance(own, model.Unknown):
        return own
    found = [legacy] if isinstance(legacy, model.HostFile) and not _masked(own) else []
    taken = {posixpath.basename(file.path) for file in own}
    found += [file for file in own if not (file.path == _LINK and found and file.sha256 == found[0].sha256)]
    for pattern in _OTHERS:
        more = files.present(facts, pattern)
        if isinstance(more, model.Unknown):
            return more
        found += [file for file in more if posixpath.basename(file.path) not in taken]
        taken |= {posixpath.basename(file.path) for file in more}
    return tuple(item for file in found for item in line_items.items(_FORM, str(file.text), file.path))


def _masked(own: tuple[model.HostFile, ...]) -> bool:
    """Whether Debian's link has been turned to /dev/null, and /etc/modules so is read no more."""
    return any(file.path == _LINK and file.text == "" for file in own)


def clashes(_wants: tuple[str, ...], _items: tuple[setting.Item, ...]) -> tuple[setting.Clash, ...]:
    """None: naming another module contradicts nothing."""
    return ()


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """One line a module."""
    return line_items.edit(_FORM, text, owned, wanted)


def effective(item: str, facts: model.Facts) -> bool | model.Unknown:
    """Whether the module is loaded or built in."""
    return facts.modules if isinstance(facts.modules, model.Unknown) else item in facts.modules


def release(text: str, line: int, item: str) -> str:
    """The line as a comment."""
    return line_items.release(_FORM, text, line, item)


SETTING = setting.HostSetting(
    key="modules",
    path=OWN,
    after=(),
    impact=model.Impact.HOST_REBOOT,
    select=conditions.selector("modules", module_names.normal, _GONE),
    read=read,
    clashes=clashes,
    edit=edit,
    effective=effective,
    release=release,
)
