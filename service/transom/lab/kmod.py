"""How modprobe reads its configuration: texts → one merged Config. Pure.

After kmod's libkmod-config.c: lines are joined at a trailing backslash, words split at blanks and tabs, ``#`` comments only at the
first word; all options of a module are handed to the kernel in reading order, so of two ``ids=`` the later wins; the kernel command
line is read last.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping

DIRECTORIES = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The merged configuration; module names have underscores."""

    blacklist: frozenset[str] = frozenset()
    options: tuple[tuple[str, str], ...] = ()
    softdeps_pre: tuple[tuple[str, tuple[str, ...]], ...] = ()
    installs: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    forbidden: frozenset[str] = frozenset()
    """``module_blacklist=``: the kernel itself refuses these."""

    def value(self, module: str, option: str) -> str | None:
        """The value that the kernel ends up with for one option of a module; None when it is not given."""
        found = None
        for name, words in self.options:
            if name == module:
                for word in words.split():
                    key, equals, value = word.partition("=")
                    if key == option:
                        found = value if equals else ""
        return found

    def pre(self, module: str) -> tuple[str, ...]:
        """Modules that are tried before ``module``. Of several softdep lines for a module the first counts."""
        return next((before for name, before in self.softdeps_pre if name == module), ())

    def matches(self, modalias: str) -> tuple[str, ...]:
        """Modules that configured aliases name for ``modalias``."""
        return tuple(module for pattern, module in self.aliases if fnmatch.fnmatchcase(modalias, pattern))


def normal(name: str) -> str:
    """A module's name as the kernel has it."""
    return name.replace("-", "_")


def order(paths: Iterable[str]) -> list[str]:
    """The paths of ``*.conf`` files in reading order: by base name over all folders; of equal names the first folder's counts."""
    by_name: dict[str, str] = {}
    ranked = sorted((p for p in paths if p.endswith(".conf")), key=_rank)
    for path in ranked:
        by_name.setdefault(path.rpartition("/")[2], path)
    return [by_name[name] for name in sorted(by_name)]


def _rank(path: str) -> int:
    folder = path.rpartition("/")[0]
    return DIRECTORIES.index(folder) if folder in DIRECTORIES else len(DIRECTORIES)


def parse(texts: Iterable[str], cmdline: str = "") -> Config:
    """The configuration that these texts, in this order, and then the command line give."""
    found = _Found()
    for text in texts:
        for line in text.replace("\\\n", "").splitlines():
            found.line(line.split())
    for token in cmdline.split():
        found.token(token)
    return found.config()


class _Found:
    """Collects what the lines say."""

    def __init__(self) -> None:
        self.blacklist: set[str] = set()
        self.forbidden: set[str] = set()
        self.options: list[tuple[str, str]] = []
        self.softdeps: list[tuple[str, tuple[str, ...]]] = []
        self.installs: list[tuple[str, str]] = []
        self.aliases: list[tuple[str, str]] = []

    def line(self, words: list[str]) -> None:
        if len(words) < 2 or words[0].startswith("#"):
            return
        command, name, rest = words[0], normal(words[1]), words[2:]
        if command == "blacklist":
            self.blacklist.add(name)
        elif command == "options":
            self.options.append((name, " ".join(rest)))
        elif command == "softdep":
            self.softdeps.append((name, _pre(rest)))
        elif command == "install":
            self.installs.append((name, " ".join(rest)))
        elif command == "alias" and rest:
            self.aliases.append((words[1], normal(rest[0])))

    def token(self, token: str) -> None:
        key, _, value = token.partition("=")
        module, dot, option = key.partition(".")
        names = [normal(name) for name in value.split(",") if name]
        if key == "module_blacklist":
            self.forbidden.update(names)
        elif normal(key) == "modprobe.blacklist":
            self.blacklist.update(names)
        elif dot and option:
            self.options.append((normal(module), f"{option}={value}" if value else option))

    def config(self) -> Config:
        return Config(
            frozenset(self.blacklist),
            tuple(self.options),
            tuple(self.softdeps),
            tuple(self.installs),
            tuple(self.aliases),
            frozenset(self.forbidden),
        )


def _pre(words: list[str]) -> tuple[str, ...]:
    before: list[str] = []
    section = ""
    for word in words:
        if word in ("pre:", "post:"):
            section = word
        elif section == "pre:":
            before.append(normal(word))
    return tuple(before)


def render(config: Config) -> list[str]:
    """The configuration as ``modprobe -c`` prints it."""
    lines = [f"blacklist {name}" for name in sorted(config.blacklist)]
    lines += [f"install {name} {command}" for name, command in config.installs]
    lines += [f"alias {pattern} {module}" for pattern, module in config.aliases]
    lines += [f"options {name} {words}" for name, words in config.options]
    lines += [f"softdep {name} pre: {' '.join(before)}" for name, before in config.softdeps_pre]
    return lines


def options_of(config: Config, module: str) -> Mapping[str, str]:
    """Every option of a module with its last value."""
    found: dict[str, str] = {}
    for name, words in config.options:
        if name == module:
            for word in words.split():
                key, _, value = word.partition("=")
                found[key] = value
    return found
