"""YAML text → plain values with the line of each. Reads nothing but its argument.

Scalars follow YAML 1.2's core rules, not 1.1's, which PyYAML would apply: ``00:02.0`` is text (1.1 makes it the number
2.0), ``on`` and ``no`` are text, ``0295`` keeps its zero. A number with a point stays text: no field is one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from transom.spec import problems

MAX_TEXT = 8 * 2**20
MAX_DEPTH = 40
MAX_NODES = 200_000
"""Values of one document, aliases counted each time they are used: a few lines of nested aliases would make billions."""

_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAG = "tag:yaml.org,2002:"

Path = tuple[problems.Part, ...]


@dataclasses.dataclass(frozen=True)
class Tree:
    """One document: ``data`` is made of dict, list, str, int, bool and None; ``lines`` gives a 1-based line for each path;
    ``bad`` are paths at which what is meant cannot be told."""

    data: Any
    lines: Mapping[Path, int]
    bad: frozenset[Path] = frozenset()


class _Loader(yaml.CSafeLoader):
    """No implicit tags: what a plain scalar means is decided here."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute


class _Stop(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, line: int, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.problem = (line, path, reason)


def read(text: str, name: str) -> tuple[list[Tree], list[problems.Problem]]:
    """Every document of ``text``, and what is wrong with the rest. Never raises for what the text holds."""
    found: list[problems.Problem] = []
    trees: list[Tree] = []
    try:
        _limits(text)
        for node in _without_empty_end(_nodes(text)):
            tree, wrong = _tree(node)
            found += [problems.Problem(name, line, problems.dotted(path), reason) for line, path, reason in wrong]
            if tree is not None:
                trees.append(tree)
    except _Stop as stop:
        line, path, reason = stop.problem
        found.append(problems.Problem(name, line, problems.dotted(path), reason))
    if not trees and not found:
        found.append(problems.Problem(name, 0, "", "holds no document"))
    return trees, found


def _without_empty_end(nodes: list[yaml.Node | None]) -> list[yaml.Node | None]:
    """``---`` behind the last document begins one that nobody meant."""
    last = nodes[-1] if len(nodes) > 1 else None
    empty = isinstance(last, yaml.ScalarNode) and not last.style and not last.value
    return nodes[:-1] if empty else nodes


def _limits(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise _Stop(0, (), f"is longer than {MAX_TEXT} characters; split it into several files")
    bad = _BAD.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        raise _Stop(line, (), f"holds the control character U+{ord(bad.group()):04X}")


def _nodes(text: str) -> list[yaml.Node | None]:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=_Loader):  # before composing: the composer recurses without a limit
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _Stop(_line(event.start_mark), (), f"is nested more than {MAX_DEPTH} deep")
        return list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise _Stop(line, (), _syntax(error, text, line)) from error
    except yaml.YAMLError as error:
        raise _Stop(0, (), f"is not YAML: {problems.printable(str(error))}") from error


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 0


def _syntax(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    at = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in at[: len(at) - len(at.lstrip())]:
        return "is indented with a tab; YAML wants blanks"
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return f"is not YAML: {problems.printable(said)}"


class _Walk:
    """One document's walk: values made, lines noted, problems gathered."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.wrong: list[tuple[int, Path, str]] = []
        self.count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = _line(node.start_mark)
        self.lines.setdefault(path, line)
        self.count += 1
        if self.count > MAX_NODES:
            raise _Stop(line, (), f"comes to more than {MAX_NODES} values; aliases repeat what they name")
        if len(path) > MAX_DEPTH:
            raise _Stop(line, (), "an alias stands inside what it names")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self.wrong.append((line, path, f"the tag {problems.printable(node.tag)} has no meaning here"))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return dict(self.items(node, path))

    def items(self, node: yaml.Node, path: Path) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = _line(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                self.wrong.append((line, path, "a key is not plain text"))
                continue
            name = key.value
            if name in seen:
                self.wrong.append((line, (*path, name), f"is given twice, first in line {seen[name]}"))
                continue
            seen[name] = line
            self.lines[(*path, name)] = line
            yield name, self.value(value, (*path, name))

    def scalar(self, node: yaml.ScalarNode, path: Path) -> str | int | bool | None:
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("str", "int", "bool", "null"):
            line = _line(node.start_mark)
            self.wrong.append((line, path, f"the tag {problems.printable(node.tag)} has no meaning here"))
        text: str = node.value
        if (
            node.style and kind == "str"
        ):  # quoted or a block; libyaml says "" for plain, where the pure parser says None
            return text
        if text in _WORDS:
            if _WORDS[text] is None and path:
                self.wrong.append((_line(node.start_mark), path, "is empty; give a value or take the line out"))
            return _WORDS[text]
        return int(text) if _INT.fullmatch(text) else text


def _tree(node: yaml.Node | None) -> tuple[Tree | None, list[tuple[int, Path, str]]]:
    if node is None:
        return None, []
    walk = _Walk()
    data = walk.value(node, ())
    line = _line(node.start_mark)
    if data is None:
        walk.wrong.append((line, (), "is an empty document; take its --- out"))
        return None, walk.wrong
    if not isinstance(data, dict):
        walk.wrong.append((line, (), "is not a mapping with apiVersion, kind, metadata and spec"))
        return None, walk.wrong
    return Tree(data, walk.lines, frozenset(path for _, path, _ in walk.wrong)), walk.wrong
