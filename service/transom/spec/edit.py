"""One value of a document's text replaced by another, and not a byte beside it. Pure."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from transom import errors
from transom.spec import problems, yamltree


def replace(text: str, kind: str, name: str, path: tuple[str, ...], new: str) -> str:
    """``text`` with ``new`` in place of the scalar at ``path`` of the document ``kind``/``name``; comments and quotes stay.

    A place in a list is its number, from 0.

    Rejected when that is not surely all that changes: no such value, one that is written in several lines, or one that an
    alias shares.
    """
    what = f"{kind}/{name} {problems.dotted(path)}"
    wanted = _wanted(text, kind, name, path, new)
    found = [node for node in _nodes(text) if _scalar(node, ("kind",)) == kind]
    node = next((_at(one, path) for one in found if _scalar(one, ("metadata", "name")) == name), None)
    if wanted is None or not isinstance(node, yaml.ScalarNode):
        raise errors.Rejected(f"{what} is not in this text", hint="replace it by hand")
    quote = node.style if node.style in ("'", '"') else ""
    changed = f"{text[: node.start_mark.index]}{quote}{new}{quote}{text[node.end_mark.index :]}"
    if node.style in ("|", ">") or [tree.data for tree in yamltree.read(changed, "")[0]] != wanted:
        raise errors.Rejected(f"{what} cannot be replaced alone as it is written", hint="replace it by hand")
    return changed


def _wanted(text: str, kind: str, name: str, path: tuple[str, ...], new: str) -> list[Any] | None:
    """What all documents of the text should hold afterwards; None when the value is not there."""
    trees = copy.deepcopy([tree.data for tree in yamltree.read(text, "")[0]])
    for data in trees:
        if isinstance(data, dict) and data.get("kind") == kind and (data.get("metadata") or {}).get("name") == name:
            holder: Any = data
            for part in path[:-1]:
                holder = holder.get(part) if isinstance(holder, dict) else None
            if isinstance(holder, dict) and path[-1] in holder:
                holder[path[-1]] = new
                return trees
            if isinstance(holder, list) and path[-1].isdecimal() and int(path[-1]) < len(holder):
                holder[int(path[-1])] = new
                return trees
    return None


def _nodes(text: str) -> list[yaml.Node]:
    """Nodes with their places, as characters of ``text``."""
    try:
        return [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except yaml.YAMLError as error:
        raise errors.Rejected(f"is not YAML: {problems.printable(str(error))}") from error


def _at(node: yaml.Node, path: tuple[str, ...]) -> yaml.Node | None:
    for part in path:
        if isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
            node = node.value[int(part)]
            continue
        if not isinstance(node, yaml.MappingNode):
            return None
        inner = [value for key, value in node.value if isinstance(key, yaml.ScalarNode) and key.value == part]
        if len(inner) != 1:
            return None
        node = inner[0]
    return node


def _scalar(node: yaml.Node, path: tuple[str, ...]) -> str:
    found = _at(node, path)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""
