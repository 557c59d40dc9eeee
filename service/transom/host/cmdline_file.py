r"""/etc/kernel/cmdline: the kernel command line of systemd-boot hosts. One line, no drop-ins, no comments: edited by token.

proxmox-boot-tool takes the first line alone (``get_first_line``), refuses it without ``root=``, and sends it through the ``echo``
of dash, which changes backslashes; without the file it falls back to /proc/cmdline. kernel-install joins the lines. A file of one
line with ``root=`` and no backslash is what both read alike, and any other is not judged.
"""

from __future__ import annotations

from transom import errors, model
from transom.host import files, kernel_args, setting, source

PATH = "/etc/kernel/cmdline"


def items(facts: model.Facts) -> tuple[setting.Item, ...] | model.Unknown:
    """Every token; Unknown, with the reason, for a file that the loaders' tools would not read alike."""
    file = files.readable(facts, PATH)
    if isinstance(file, model.Unknown):
        return file
    if isinstance(file, model.Absent):
        return model.Unknown(f"{PATH} is not there, so entries are made from /proc/cmdline: write it first")
    text = str(file.text)
    if problem := _problem(text):
        return model.Unknown(f"{PATH}:1: {problem}")
    return tuple(setting.Item(token, PATH, 1) for token in kernel_args.split(text))


def _problem(text: str) -> str:
    first, _, rest = text.partition("\n")
    if not any(kernel_args.key(token) == "root" for token in kernel_args.split(first)):
        return "its first line has no root=, which proxmox-boot-tool refuses"
    if rest.strip():
        return "it has several lines, of which proxmox-boot-tool takes the first alone"
    if "\\" in first:
        return "it has a backslash, which proxmox-boot-tool's shell may change"
    if kernel_args.END in kernel_args.split(first):
        return f"it has {kernel_args.END}: all that follows goes to init, not to the kernel"
    if not first.isascii():
        return "it has a character that is not ASCII, whose bytes the kernel may take for blanks"
    if "\r" in first:
        return "it has a carriage return, which becomes part of the last parameter"
    return "it has a quote that is never closed" if first.count('"') % 2 else ""


def edit(text: str, owned: frozenset[str], wanted: tuple[str, ...]) -> str:
    """``HostSetting.edit``: ours go from the end of the line on, missing ones come to its end; all else stays to the byte."""
    first, newline, rest = text.partition("\n")
    for item in sorted(owned - set(wanted)):
        first = _without(first, item)
    have = set(kernel_args.split(first))
    missing = [item for item in dict.fromkeys(wanted) if item not in have]
    return "".join([first, *(f" {item}" for item in missing), newline, rest])


def _without(line: str, item: str) -> str:
    """The line without the last token that is ``item``: what we add stands behind what was there."""
    spans = [span for span in kernel_args.spans(line) if line[span[0] : span[1]] == item]
    chars = source.plain(line, PATH)
    return source.cut(line, chars[slice(*spans[-1])], chars) if spans else line


def release(text: str, line: int, item: str) -> str:
    """Nothing can be commented out on the one line, so a person edits it."""
    del text
    raise errors.Rejected(f"line {line} of {PATH} holds {item} among other parameters", hint="edit the line by hand")
