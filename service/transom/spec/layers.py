"""How a node's and its VMs' wants lie over each other: Node over recipes; recipe under hardware under media under raw."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Mapping

from transom.spec import bundle, documents, recipe_fields, render, wish

SETTINGS = ("kernel_cmdline", "modules", "vfio_ids", "blacklist", "module_options", "sysctl")


@dataclasses.dataclass(frozen=True)
class Vm:
    """One VM with what it refers to."""

    item: bundle.Loaded
    spec: documents.VmSpec
    device: documents.Device | None
    recipe: documents.Recipe | None

    @property
    def recipe_title(self) -> str:
        """``igd-legacy-seabios 1``, or empty."""
        return title(self.recipe) if self.recipe else ""


def title(recipe: documents.Recipe) -> str:
    """``igd-legacy-seabios 1``"""
    return f"{recipe.metadata.name} {recipe.spec.version}"


# --- guest -----------------------------------------------------------------------------------------------------------


def config(vm: Vm) -> dict[str, wish.Want]:
    """Every key that the VM shall have, apart from ``hostpci0``: later layers win."""
    document = vm.item.title
    wants: dict[str, wish.Want] = {}
    if vm.recipe:
        by_recipe = f"{document} (recipe {vm.recipe_title})"
        for line in (*vm.recipe.spec.guest.config, *vm.recipe.spec.guest.unlisted):
            wants[line.key] = wish.Want(line.value, by_recipe, why=line.why, qemu=line.qemu or "")
    for layer in (render.hardware(vm.spec.hardware), render.media(vm.spec), vm.spec.unlisted, vm.spec.raw):
        wants |= {key: wish.Want(value, document) for key, value in layer.items()}
    return wants


def unmet(vm: Vm) -> Iterator[tuple[recipe_fields.Requirement, str | None]]:
    """The recipe's requirements that the VM does not meet, with the value that stands there."""
    if vm.recipe is None:
        return
    wants = config(vm)
    for need in vm.recipe.spec.guest.require:
        value = wants[need.key].value if need.key in wants else None
        met = need.absent if value is None else any(fnmatch.fnmatchcase(value, glob) for glob in need.values)
        if not met:
            yield need, value


# --- host ------------------------------------------------------------------------------------------------------------


def host(node: bundle.Loaded, spec: documents.NodeSpec, vms: Iterable[Vm]) -> dict[str, tuple[wish.Want, ...]]:
    """Each setting's wanted items, none twice: the first names it, but one without a condition beats one with."""
    vms = list(vms)
    return {key: _unique([*_nodes(node, spec, key), *_recipes(vms, key)]) for key in SETTINGS}


def contradictions(
    node: bundle.Loaded, spec: documents.NodeSpec, vms: Iterable[Vm]
) -> Iterator[tuple[Vm, str, wish.Want, wish.Want]]:
    """Recipes that want one item under different conditions, while nothing wants it without: which shall hold cannot be told."""
    vms = list(vms)
    for key, wants in host(node, spec, vms).items():
        for first in (want for want in wants if want.kernel):
            for vm in vms:
                for want in _recipes([vm], key):
                    if want.value == first.value and want.kernel != first.kernel:
                        yield vm, key, first, want


def _nodes(node: bundle.Loaded, spec: documents.NodeSpec, key: str) -> Iterator[wish.Want]:
    for value in getattr(spec.host, key):
        yield wish.Want(_canonical(key, value), node.title)


def _recipes(vms: Iterable[Vm], key: str) -> Iterator[wish.Want]:
    for vm in vms:
        if vm.recipe is None:
            continue
        document = f"{vm.item.title} (recipe {vm.recipe_title})"
        if key == "vfio_ids":
            if vm.recipe.spec.vfio_ids == "device" and vm.device:
                yield wish.Want(vm.device.id[:9], document, why="the VM's device is bound to vfio-pci from boot on")
            continue
        for line in getattr(vm.recipe.spec.host, key):
            yield wish.Want(_canonical(key, line.value), document, why=line.why, kernel=line.kernel or "")


def _canonical(key: str, value: str) -> str:
    """Module names with underscores: the kernel and kmod take both spellings as one."""
    return value.replace("-", "_") if key in ("modules", "blacklist") else value


def _unique(wants: Iterable[wish.Want]) -> tuple[wish.Want, ...]:
    chosen: dict[str, wish.Want] = {}
    for want in wants:
        first = chosen.setdefault(want.value, want)
        if first.kernel and not want.kernel:
            chosen[want.value] = want
    return tuple(chosen.values())


# --- policy ----------------------------------------------------------------------------------------------------------


def policies(
    node: bundle.Loaded, candidates: Mapping[str, tuple[bundle.Loaded, documents.Policy]]
) -> list[tuple[bundle.Loaded, documents.Policy]]:
    """The policies that select the node most narrowly: by its name, then by most labels, then by a glob, then for all.

    More than one is an ambiguity that the user has to settle; none means the defaults.
    """
    ranked = [(_rank(node, policy.spec.selector), item, policy) for item, policy in candidates.values()]
    best = max((rank for rank, _, _ in ranked if rank is not None), default=None)
    return [(item, policy) for rank, item, policy in ranked if rank is not None and rank == best]


def _rank(node: bundle.Loaded, selector: documents.Selector) -> tuple[bool, int, bool] | None:
    labels = node.document.metadata.labels
    if any(labels.get(key) != value for key, value in selector.labels.items()):
        return None
    if selector.nodes and not any(fnmatch.fnmatchcase(node.name, glob) for glob in selector.nodes):
        return None
    return node.name in selector.nodes, len(selector.labels), bool(selector.nodes)
