"""What documents mean together: references that lead nowhere, names, VMIDs and devices that two of them claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transom.spec import bundle, documents, layers, problems, recipe_fields, remainder

Broken = frozenset[tuple[str, str]]
"""Kind and name of documents of which nothing could be read, empty where not known: what may refer to them is not blamed."""


def check(docs: bundle.Bundle, broken: Broken = frozenset()) -> list[problems.Problem]:
    """Every mistake between the documents of ``docs``; those with gaps are judged by what is left of them."""
    found = [
        *_named_twice(docs),
        *_references(docs, broken),
        *_hosts_twice(docs),
        *_machines_twice(docs),
        *_vmids(docs),
        *_devices(docs),
    ]
    found += _rom_names(docs)
    for item, vm in docs.of(documents.VirtualMachine).values():
        found += _recipe(_vm(item, vm.spec, docs), docs)
    for item, node in docs.of(documents.Node).values():
        found += [*_policy(item, docs), *_contradictions(item, node.spec, docs)]
    return found


def vms(docs: bundle.Bundle, node: str) -> list[layers.Vm]:
    """The VMs of one node with what they refer to, in the order of the documents."""
    return [_vm(item, vm.spec, docs) for item, vm in docs.of(documents.VirtualMachine).values() if vm.spec.node == node]


def _vm(item: bundle.Loaded, spec: documents.VmSpec, docs: bundle.Bundle) -> layers.Vm:
    """What it refers to and does not exist is None: that is told by itself."""
    nodes, recipes = docs.of(documents.Node), docs.of(documents.Recipe)
    devices = nodes[spec.node][1].spec.devices if spec.node in nodes else {}
    recipe = recipes[spec.recipe][1] if spec.recipe in recipes else None
    return layers.Vm(item, spec, devices.get(spec.device) if spec.device else None, recipe)


def _named_twice(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    shipped = {item.title for item in docs.shipped}
    seen: dict[str, bundle.Loaded] = {}
    for item in docs.own:
        first = seen.setdefault(item.title, item)
        if first is not item:
            place = first.place("metadata", "name")
            yield item.problem(("metadata", "name"), f"{item.title} is already described in {place}")
        elif item.title in shipped:
            yield item.problem(("metadata", "name"), f"{item.title} ships with Transom; choose another name")


class _References:
    """Looks names up, and words what is missing."""

    def __init__(self, docs: bundle.Bundle, broken: Broken) -> None:
        self.broken = broken
        self.names: dict[str, list[str]] = {kind: [] for kind in documents.KINDS}
        for item in docs:
            if item.hides("metadata", "name"):  # it may be the one that is looked for
                self.broken |= {(item.kind, "")}
            else:
                self.names[item.kind].append(item.name)

    def missing(
        self, item: bundle.Loaded, path: tuple[problems.Part, ...], kind: str, name: str | None
    ) -> Iterator[problems.Problem]:
        known = self.names[kind]
        if name is None or name == remainder.UNREAD or name in known:
            return
        if self.broken & {(kind, name), (kind, ""), ("", name), ("", "")}:
            return
        hint = problems.did_you_mean(name, known) or f"; known: {', '.join(sorted(known)) or 'none'}"
        yield item.problem(path, f"there is no {kind} {problems.shown(name)}{hint}")


def _references(docs: bundle.Bundle, broken: Broken) -> Iterator[problems.Problem]:
    look = _References(docs, broken)
    nodes = docs.of(documents.Node)
    for item in docs:
        match item.document:
            case documents.Node(spec=node):
                yield from look.missing(item, ("spec", "cluster"), "Cluster", node.cluster)
                yield from _keyless(item, node, docs)
            case documents.VirtualMachine(spec=vm):
                yield from look.missing(item, ("spec", "node"), "Node", vm.node)
                yield from look.missing(item, ("spec", "rom"), "Rom", vm.rom)
                yield from look.missing(item, ("spec", "recipe"), "Recipe", vm.recipe)
                if vm.node in nodes:
                    yield from _device(item, vm, *nodes[vm.node])
            case documents.Policy(spec=policy):
                for index, name in enumerate(policy.selector.nodes):
                    if not set(name) & set("*?["):
                        yield from look.missing(item, ("spec", "selector", "nodes", index), "Node", name)
            case _:
                pass


def _keyless(item: bundle.Loaded, node: documents.NodeSpec, docs: bundle.Bundle) -> Iterator[problems.Problem]:
    """SSH of a node needs the key that its Cluster names; the reverse is a node to which SSH is not granted."""
    found = docs.of(documents.Cluster).get(node.cluster)
    if node.ssh is None or found is None or found[1].spec.ssh is not None or found[0].touched("spec", "ssh"):
        return
    reason = f"Cluster {problems.shown(node.cluster)} has no ssh.key to log in with; add it, or leave ssh out here"
    yield item.problem(("spec", "ssh"), reason)


def _device(
    item: bundle.Loaded, vm: documents.VmSpec, at: bundle.Loaded, node: documents.Node
) -> Iterator[problems.Problem]:
    devices = node.spec.devices
    if vm.device is not None and vm.device not in devices and not at.hides("spec", "devices", vm.device):
        hint = problems.did_you_mean(vm.device, devices) or f"; known: {', '.join(devices) or 'none'}"
        yield item.problem(
            ("spec", "device"), f"Node {problems.shown(vm.node)} has no device {problems.shown(vm.device)}{hint}"
        )


def _claimed_twice(
    docs: bundle.Bundle,
    claims: Iterable[tuple[object, bundle.Loaded, tuple[str, ...], str]],
) -> Iterator[problems.Problem]:
    """Claims are (what, who, at which path, in words); the second and later claimants of one thing are told of the first."""
    first: dict[object, tuple[bundle.Loaded, tuple[str, ...]]] = {}
    for what, item, path, words in claims:
        holder, where = first.setdefault(what, (item, path))
        if holder is not item:
            yield item.problem(path, f"{words} {holder.title} already{_whence(docs, holder, where)}")


def _whence(docs: bundle.Bundle, holder: bundle.Loaded, where: tuple[str, ...]) -> str:
    if holder.title in docs.stored:  # the line that it had may be another document's by now
        return (
            f", stored earlier and in no file handed in now; if it is gone or renamed: transom release {holder.title}"
        )
    return f" ({holder.place(*where)})"


def _hosts_twice(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    return _claimed_twice(
        docs,
        (
            (
                (node.spec.cluster, node.spec.pve_node or item.name),
                item,
                ("spec", "pve_node") if node.spec.pve_node else ("metadata", "name"),
                f"the PVE node {problems.shown(node.spec.pve_node or item.name)} of this cluster is",
            )
            for item, node in docs.of(documents.Node).values()
            if not any(item.hides(*path) for path in (("spec", "cluster"), ("spec", "pve_node"), ("metadata", "name")))
        ),
    )


def _machines_twice(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    """One machine under two names of clusters: each would have turns, a lease and a lock of its own."""
    clusters = docs.of(documents.Cluster)
    nodes = [
        (item, node.spec, *clusters[node.spec.cluster])
        for item, node in docs.of(documents.Node).values()
        if node.spec.cluster in clusters and not item.hides("spec", "cluster")
    ]
    yield from _claimed_twice(
        docs,
        (
            (
                (node.ssh.address, port),
                item,
                ("spec", "ssh", "address"),
                f"{node.ssh.address} port {port} is the SSH of",
            )
            for item, node, _, cluster in nodes
            if node.ssh and not item.touched("spec", "ssh")
            for port in (node.ssh.port or (cluster.spec.ssh.port if cluster.spec.ssh else 22),)
        ),
    )
    first: dict[tuple[str, str], tuple[bundle.Loaded, str]] = {}
    for item, node, at, cluster in nodes:
        if at.touched("spec", "api", "endpoints") or item.hides("spec", "pve_node") or item.hides("metadata", "name"):
            continue
        for endpoint in cluster.spec.api.endpoints:
            holder, whose = first.setdefault((endpoint, node.pve_node or item.name), (item, node.cluster))
            if whose != node.cluster:  # within one cluster it is told by itself
                same = f"Cluster {problems.shown(whose)} has the same endpoint {endpoint}"
                yield item.problem(("spec", "cluster"), f"{same}, and there this PVE node is {holder.title} already")
                break


def _vmids(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    nodes = docs.of(documents.Node)
    return _claimed_twice(
        docs,
        (
            (
                (_cluster(*nodes[vm.spec.node]), vm.spec.vmid),
                item,
                ("spec", "vmid"),
                f"{vm.spec.vmid} on this cluster belongs to",
            )
            for item, vm in docs.of(documents.VirtualMachine).values()
            if vm.spec.vmid is not None and vm.spec.node in nodes
        ),
    )


def _cluster(item: bundle.Loaded, node: documents.Node) -> tuple[str, str]:
    """Where a VMID counts: the node's cluster, or the node alone while that cannot be told."""
    return ("Node", item.name) if item.hides("spec", "cluster") else ("Cluster", node.spec.cluster)


def _devices(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    return _claimed_twice(
        docs,
        (
            (
                (vm.spec.node, vm.spec.device),
                item,
                ("spec", "device"),
                f"{problems.shown(vm.spec.device)} of this node is given to",
            )
            for item, vm in docs.of(documents.VirtualMachine).values()
            if vm.spec.device is not None and not item.hides("spec", "node")
        ),
    )


def _rom_names(docs: bundle.Bundle) -> Iterator[problems.Problem]:
    roms = docs.of(documents.Rom)
    used = (
        (vm.spec.node, *roms[vm.spec.rom])
        for _, vm in docs.of(documents.VirtualMachine).values()
        if vm.spec.rom in roms
    )
    return _claimed_twice(
        docs,
        (
            (
                (node, rom.spec.filename),
                item,
                ("spec", "filename"),
                f"{problems.shown(rom.spec.filename)} on Node {node} is",
            )
            for node, item, rom in used
            if rom.spec.filename is not None
        ),
    )


def _policy(node: bundle.Loaded, docs: bundle.Bundle) -> Iterator[problems.Problem]:
    candidates = docs.of(documents.Policy)
    if node.touched("metadata") or any(item.touched("spec", "selector") for item, _ in candidates.values()):
        return  # the one that cannot be read may be the narrowest
    best = layers.policies(node, candidates)
    for item, _ in best[1:]:
        reason = f"selects Node {problems.shown(node.name)} as narrowly as {best[0][0].title}; name it in one of them"
        yield item.problem(("spec", "selector"), reason)


def _recipe(vm: layers.Vm, docs: bundle.Bundle) -> Iterator[problems.Problem]:
    """What the VM's recipe asks of it."""
    if vm.recipe is None:
        return
    lacks_device = vm.spec.device is None and not vm.item.hides("spec", "device")
    if lacks_device and (vm.recipe.spec.vfio_ids or vm.recipe.spec.guest.hostpci):
        reason = f"{vm.recipe_title} passes a device through; name one of the node's in spec.device"
        yield vm.item.problem(("spec", "recipe"), reason)
    if docs.of(documents.Recipe)[vm.recipe.metadata.name][0].touched("spec", "guest"):
        return
    for need, value in layers.unmet(vm):
        if not _hidden(vm, need.key):
            yield _requirement(vm, need, value)


def _hidden(vm: layers.Vm, key: str) -> bool:
    """Whether something that cannot be read may give the key's value."""
    if key in vm.spec.raw:
        return False
    hardware = ("spec", "hardware")
    paths = [("spec", "raw", key), (*hardware, key), (*hardware, "disks", key), (*hardware, "network", key)]
    return any(vm.item.hides(*path) for path in [*paths, ("spec", "media", key)])


def _contradictions(node: bundle.Loaded, spec: documents.NodeSpec, docs: bundle.Bundle) -> Iterator[problems.Problem]:
    here = vms(docs, node.name)
    recipes = docs.of(documents.Recipe)
    used = [recipes[vm.recipe.metadata.name][0] for vm in here if vm.recipe]
    if node.touched("spec", "host") or any(item.touched("spec", "host") for item in used):
        return  # what cannot be read may want it without a condition
    for vm, key, first, want in layers.contradictions(node, spec, here):
        reason = (
            f"wants {want.value} of {key} with kernel {want.kernel}, {first.document} with {first.kernel}; "
            f"give it without a condition in {node.title}"
        )
        yield vm.item.problem(("spec", "recipe"), reason)


def _requirement(vm: layers.Vm, need: recipe_fields.Requirement, value: str | None) -> problems.Problem:
    path = ("spec", "raw", need.key) if need.key in vm.spec.raw else ("spec", "hardware", need.key)
    told = "is missing" if value is None else f"{problems.shown(value)} does not serve"
    wanted = " or ".join(need.values)
    return vm.item.problem(path, f"{told}: recipe {vm.recipe_title} wants {wanted} ({need.why})")
