"""``/etc/initramfs-tools/modules``: modules that the initramfs loads by name, with options behind the names. Never edited by us.

From initramfs-tools 0.142 (``add_modules_from_file`` of hook-functions, ``load_modules`` of scripts/functions) and kmod: each line
becomes ``modprobe LINE``, after udev has loaded the drivers that the image has. modprobe puts these options behind those of
modprobe.d and of the kernel command line, so of one option they are the last; and it does nothing for a module that is loaded
already, which is why only the first line of a module counts, and none where udev was there first. So these options can take
away what other files give, and are nothing to rely on.
"""

from __future__ import annotations

import dataclasses

from transom import model
from transom.host import files, lines, module_names

PATH = "/etc/initramfs-tools/modules"


@dataclasses.dataclass(frozen=True)
class Line:
    """One module with its options, as written but for quotes."""

    module: str
    options: tuple[str, ...]
    line: int


def read(facts: model.Facts) -> tuple[Line, ...] | model.Unknown:
    """The lines that count, in order; none where initramfs-tools has no such file."""
    found = files.present(facts, PATH)
    if isinstance(found, model.Unknown):
        return found
    return tuple(line for file in found for line in parse(str(file.text)))


def parse(text: str) -> tuple[Line, ...]:
    """The shell splits the words: ``#`` is a comment at the beginning of a line alone, quotes are the kernel's (``next_arg``)."""
    first: dict[str, Line] = {}
    for number, line in enumerate(lines.split(text), 1):
        name, *options = line.replace('"', "").split() or [""]
        if name and not name.startswith("#"):
            module = module_names.normal(name)
            first.setdefault(module, Line(module, tuple(options), number))
    return tuple(first.values())


def items(facts: model.Facts) -> tuple[tuple[str, int], ...] | model.Unknown:
    """(``module.parameter=value``, line) of every option."""
    found = read(facts)
    if isinstance(found, model.Unknown):
        return found
    return tuple((f"{one.module}.{option}", one.line) for one in found for option in one.options)
