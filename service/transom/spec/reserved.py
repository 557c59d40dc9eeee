"""What, of documents that are handed in, is for somebody to decide who may let changes happen. Pure.

These work without any plan's approval: where Transom's secrets lie and to whom it shows them, which files of its own machine it
reads, and which policy keeps a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from transom.spec import bundle, documents, layers, within


def reserved(own: Sequence[bundle.Loaded], stored: Sequence[bundle.Loaded]) -> tuple[str, ...]:
    """Each with its document, as one line; empty when ``own``, laid over ``stored``, adds and changes nothing of the kind."""
    before = {item.title: item for item in stored}
    policies = bundle.Bundle(tuple(stored)).of(documents.Policy)
    return tuple(f"{item.title} {what}" for item in own for what in _changes(item, before.get(item.title), policies))


def _changes(
    item: bundle.Loaded,
    old: bundle.Loaded | None,
    policies: Mapping[str, tuple[bundle.Loaded, documents.Policy]],
) -> Iterator[str]:
    was = old.document if old else None
    match item.document:
        case documents.Cluster(spec=spec):
            if not isinstance(was, documents.Cluster) or was.spec != spec:
                yield "says where secrets lie and to whom they are shown"
        case documents.Policy(spec=policy):
            if not isinstance(was, documents.Policy) or was.spec != policy:
                yield "says what is changed unasked"
        case documents.Rom(spec=rom):
            if _files(rom) - (_files(was.spec) if isinstance(was, documents.Rom) else frozenset()):
                yield "names files of Transom's own machine"
        case documents.Node(spec=node):
            if _shown_to(node) != (_shown_to(was.spec) if isinstance(was, documents.Node) else None):
                yield "says where its cluster's secrets are used"
            if old is not None and _kept_by(old, policies) != _kept_by(item, policies):
                yield "comes under another Policy by its labels"


def _shown_to(node: documents.NodeSpec) -> object:
    """None when it is what any node of a cluster is: reached through the cluster's own endpoints alone."""
    return (node.cluster, node.pve_node, node.ssh) if node.ssh or node.pve_node else None


def _kept_by(item: bundle.Loaded, policies: Mapping[str, tuple[bundle.Loaded, documents.Policy]]) -> list[str]:
    return [policy.title for policy, _ in layers.policies(item, policies)]


def _files(rom: documents.RomSpec) -> frozenset[str]:
    inputs = (one.file for _, one in within.rom_inputs(rom))
    return frozenset(path for path in (rom.file, *inputs) if path)
