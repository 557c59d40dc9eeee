"""Copies of documents that point at the lab: only the lines that say how a node is reached differ. Pure but for ``stage``.

Texts are edited in place by the positions that the YAML parser gives, never dumped again, so that ``diff`` shows just these lines.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from transom import errors
from transom.lab import synthetic_rom


@dataclasses.dataclass(frozen=True)
class ClusterLink:
    """How the lab's API of one cluster is reached."""

    endpoints: tuple[str, ...]
    fingerprint: str
    token_file: str
    key_file: str


@dataclasses.dataclass(frozen=True)
class NodeLink:
    """How one lab node is logged in to."""

    cluster: str
    port: int
    host_key: str
    address: str = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Edit:
    """Characters ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


_PLAIN = re.compile(r"[A-Za-z0-9/][\w./@+:=-]*( [\w./@+=-]+)*")


def rewrite(text: str, clusters: Mapping[str, ClusterLink], nodes: Mapping[str, NodeLink]) -> str:
    """The documents of ``text`` with the lab's connections. Cluster documents are looked up by name, nodes by their PVE name;
    documents of others stay as they are."""
    edits: list[Edit] = []
    for document in _documents(text):
        kind, name = _scalar(document, "kind"), _scalar(document, "metadata", "name")
        spec = _get(document, "spec")
        if not isinstance(spec, yaml.MappingNode):
            continue
        if kind == "Cluster" and name in clusters:
            edits += _cluster(spec, clusters[name])
        elif kind == "Node" and (link := nodes.get(_scalar(spec, "pve_node") or name)):
            edits += _node(spec, link)
    for edit in sorted(edits, key=lambda one: one.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def members(text: str) -> dict[str, str]:
    """PVE node name → cluster name, of the Node documents in ``text``."""
    found = {}
    for document in _documents(text):
        if _scalar(document, "kind") == "Node":
            name = _scalar(document, "spec", "pve_node") or _scalar(document, "metadata", "name")
            found[name] = _scalar(document, "spec", "cluster")
    return found


def roms(text: str) -> dict[str, str]:
    """ROM file as written → sha256, of the Rom documents in ``text``."""
    found = [one for one in _documents(text) if _scalar(one, "kind") == "Rom" and _scalar(one, "spec", "file")]
    return {_scalar(one, "spec", "file"): _scalar(one, "spec", "sha256") for one in found}


def firmware(text: str) -> list[str]:
    """Files as written that the Rom documents in ``text`` are built of."""
    found = []
    for one in _documents(text):
        if _scalar(one, "kind") == "Rom":
            several = [_get(one, "spec", "firmware"), _get(one, "spec", "helpers")]
            items = [item for node in several if isinstance(node, yaml.SequenceNode) for item in node.value]
            found += [_scalar(item, "file") for item in [*items, _get(one, "spec", "legacy")]]
    return [file for file in found if file]


def _cluster(spec: yaml.MappingNode, link: ClusterLink) -> Iterator[Edit]:
    endpoints = _get(spec, "api", "endpoints")
    if isinstance(endpoints, yaml.SequenceNode):
        for at, item in enumerate(endpoints.value):
            yield _replace(item, link.endpoints[at % len(link.endpoints)])
    pins = _get(spec, "api", "fingerprints")
    for item in pins.value if isinstance(pins, yaml.SequenceNode) else ():
        yield _replace(item, link.fingerprint)
    for trust in ("fingerprint", "ca"):
        yield from _pair(_get(spec, "api"), trust, "fingerprint", link.fingerprint)
    for place in ("file", "env"):
        yield from _pair(_get(spec, "api", "token", "secret"), place, "file", link.token_file)
        yield from _pair(_get(spec, "ssh", "key"), place, "file", link.key_file)


def _node(spec: yaml.MappingNode, link: NodeLink) -> Iterator[Edit]:
    ssh = _get(spec, "ssh")
    if not isinstance(ssh, yaml.MappingNode):
        return
    yield from _pair(ssh, "address", "address", link.address)
    yield from _pair(ssh, "host_key", "host_key", link.host_key)
    if _get(ssh, "port") is not None:
        yield from _pair(ssh, "port", "port", str(link.port))
    else:
        yield _added(ssh, "address", f"port: {link.port}")


def _added(mapping: yaml.MappingNode, after: str, pair: str) -> Edit:
    """One more pair behind that of the key ``after``, in the mapping's own style."""
    key, value = next((key, value) for key, value in mapping.value if key.value == after)
    end = value.end_mark.index
    return Edit(end, end, f", {pair}" if mapping.flow_style else f"\n{' ' * key.start_mark.column}{pair}")


def _pair(mapping: yaml.Node | None, key: str, new_key: str, value: str) -> Iterator[Edit]:
    """Replaces the value of ``key``, and the key's name where that changes; nothing when it is not there."""
    if isinstance(mapping, yaml.MappingNode):
        for name, old in mapping.value:
            if name.value == key:
                if key != new_key:
                    yield _replace(name, new_key)
                yield _replace(old, value)


def _replace(node: yaml.Node, value: str) -> Edit:
    text = value if _PLAIN.fullmatch(value) else json.dumps(value)
    return Edit(node.start_mark.index, node.end_mark.index, text)


def _documents(text: str) -> list[yaml.Node]:
    try:
        return [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
    except yaml.YAMLError as error:
        raise errors.SpecError([f"the lab cannot read the document: {error}"]) from error


def _get(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node


def _scalar(node: yaml.Node | None, *keys: str) -> str:
    found = _get(node, *keys)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


# --- files -----------------------------------------------------------------------------------------------------------


def stage(source: Path, folder: Path, clusters: Mapping[str, ClusterLink], nodes: Mapping[str, NodeLink]) -> Path:
    """Writes the rewritten copy of ``source`` into ``folder``, its ROM files beside it, and returns the copy's path.

    A ROM or firmware that does not lie beside the source is the lab's synthetic one; SpecError when the document wants another
    hash.
    """
    text = source.read_text()
    lost = sorted(set(members(text)) - nodes.keys())
    if lost:
        raise errors.SpecError([f"{source}: the lab has no node {name} (it has {', '.join(nodes)})" for name in lost])
    folder.mkdir(parents=True, exist_ok=True)
    for name, sha256 in roms(text).items():
        _rom(source.parent, folder, name, sha256)
    for name in firmware(text):
        _beside(source.parent, folder, name, synthetic_rom.igd_driver())
    target = folder / source.name
    target.write_text(rewrite(text, clusters, nodes))
    return target


def _rom(source: Path, folder: Path, name: str, sha256: str) -> None:
    content = synthetic_rom.igd_rom()
    if _inside(folder, name) and not (source / name).exists() and hashlib.sha256(content).hexdigest() != sha256:
        raise errors.SpecError([f"{name} is not beside the document, and the lab's synthetic ROM has another sha256"])
    _beside(source, folder, name, content)


def _beside(source: Path, folder: Path, name: str, content: bytes) -> None:
    """The document's own file, or ``content`` where it has none."""
    if not _inside(folder, name):
        return  # an absolute path, or one beside the folder: the document finds it where it is
    target = (folder / name).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    if (source / name).exists():
        shutil.copyfile(source / name, target)
    else:
        target.write_bytes(content)


def _inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())
