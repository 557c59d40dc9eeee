"""GRUB's defaults: what ``/etc/default/grub`` and ``grub.d/*.cfg`` give together, which line gives it, and our own line in it.

grub-mkconfig sources /etc/default/grub and then /etc/default/grub.d/*.cfg in the order of their names (Debian's patch
mkconfig-source-defaults-d); 10_linux puts ``$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT`` on the line of the normal entry.
"""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import cmdline_file, files, grub_words, loader, shell, source

MAIN = "/etc/default/grub"
FOLDER = "/etc/default/grub.d/*.cfg"
OWN = "/etc/default/grub.d/90-transom.cfg"
BASE, DEFAULT = "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"
_HERE = source.Char("\x01", OWN, 0, 0, 0)
"""Stands at the end of what our file gives, to see whether a later file keeps it."""


@dataclasses.dataclass(frozen=True)
class Merged:
    """The command line as grub-mkconfig would write it; ``hiding``: later assignments that drop what our file gives."""

    words: tuple[grub_words.Word, ...]
    hiding: tuple[shell.Assignment, ...]


def merged(facts: model.Facts) -> Merged | model.Unknown:
    """What the files give together; Unknown names the file and line that cannot be judged."""
    main = files.readable(facts, MAIN)
    folder = files.listed(facts, FOLDER)
    if isinstance(main, model.Unknown):
        return main
    if isinstance(folder, model.Unknown):
        return folder
    ordered = ((main,) if isinstance(main, model.HostFile) else ()) + folder
    try:
        return _evaluate([(file.path, str(file.text)) for file in ordered])
    except shell.Unjudged as fault:
        return model.Unknown(str(fault))


def tokens(facts: model.Facts) -> tuple[tuple[str, str, int], ...] | model.Unknown:
    """(token, path, line) of the coming boot's command line; of the running one where the boot loader is not known."""
    if facts.boot.loader == loader.SYSTEMD_BOOT:
        line = cmdline_file.items(facts)
        return line if isinstance(line, model.Unknown) else tuple((one.value, one.path, one.line) for one in line)
    if facts.boot.loader != loader.GRUB:
        running = facts.boot.cmdline
        return (
            running if isinstance(running, model.Unknown) else tuple((token, "/proc/cmdline", 0) for token in running)
        )
    found = merged(facts)
    if isinstance(found, model.Unknown):
        return found
    return tuple((word.token, word.chars[0].path, word.chars[0].line) for word in found.words)


def _evaluate(texts: list[tuple[str, str]]) -> Merged:
    known: dict[str, source.Chars] = {BASE: (), DEFAULT: ()}
    hiding: list[shell.Assignment] = []
    earlier = [(path, text) for path, text in texts if path == MAIN or path <= OWN]
    for path, text in earlier:
        tuple(shell.walk(text, path, known))
    known[DEFAULT] += (_HERE,)
    for path, text in texts[len(earlier) :]:
        for one in shell.walk(text, path, known):
            if one.name == DEFAULT and _HERE not in one.value:
                hiding.append(one)
                known[DEFAULT] += (_HERE,)
    words = [word for name in (BASE, DEFAULT) for word in grub_words.words(_without_mark(known[name]))]
    return Merged(tuple(words), tuple(hiding))


def _without_mark(chars: source.Chars) -> source.Chars:
    return tuple(char for char in chars if char is not _HERE)
