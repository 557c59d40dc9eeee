"""PCI mappings of the cluster: this node's entry says which function a device of the documents is now. Other nodes' stay.

The device is found by its identity, so that an entry is put right after buses were renumbered. Mappings came with PVE 8.0.
"""

from __future__ import annotations

from collections.abc import Sequence

from transom import model
from transom.guest import props
from transom.host import versions
from transom.plan import actions as acts
from transom.plan import device as devices
from transom.plan import guest_actions, ledger_paths, rom
from transom.plan.draft import Draft, Ledger, Part, cannot_read
from transom.spec import wish

SCHEMA = props.Schema(
    props={
        "node": props.Prop(),
        "path": props.Prop(props.lower),
        "id": props.Prop(props.lower),
        "subsystem-id": props.Prop(props.lower),
        "iommugroup": props.Prop(props.integer),
        "description": props.Prop(),
    }
)
_PLACE = "/etc/pve/mapping/pci.cfg"


def parts(node: wish.NodeWish, facts: model.Facts) -> list[Part]:
    """What the mappings that the node's devices name lack, one by one; before the VMs. One that only a VM uses is that VM's."""
    wanted = {device.mapping: device for device in node.devices.values() if device.mapping}
    if not wanted:
        return []
    if too_old := _too_old(facts, wanted):
        return [Part(Draft(findings=[too_old]))]
    if isinstance(facts.mappings, model.Unknown):
        return [Part(Draft(findings=[cannot_read("PCI mappings", facts.mappings.unknown)]))]
    return [
        Part(_one(node, device, facts, facts.mappings.get(name)), _users(node, name)).about()
        for name, device in wanted.items()
    ]


def _users(node: wish.NodeWish, mapping: str) -> frozenset[str]:
    return frozenset(guest.document for guest in node.guests if guest.device and guest.device.mapping == mapping)


def removals(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, planned: Sequence[acts.Action]) -> Draft:
    """Entries of ours that no document wants any more go back to what they were; after the VMs."""
    draft = Draft()
    wanted = {device.mapping for device in node.devices.values() if device.mapping}
    for path, entry in ledger.items():
        about = ledger_paths.parse(path)
        if not isinstance(about, ledger_paths.PciMapping) or about.name in wanted:
            continue
        if isinstance(facts.mappings, model.Unknown):
            draft.findings.append(cannot_read("PCI mappings", facts.mappings.unknown))
            break
        _let_go(node, about.name, entry, facts.mappings.get(about.name), facts, planned, draft)
    return draft


def entries_of(node: str, mapping: model.PciMapping | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The entries for ``node``, and those of others, as PVE has them."""
    every = mapping.entries if mapping else ()
    mine = tuple(entry for entry in every if _parts(entry).get("node") == node)
    return mine, tuple(entry for entry in every if entry not in mine)


def exact(node: wish.NodeWish, function: model.PciDevice, facts: model.Facts) -> tuple[str, ...]:
    """The mappings whose one entry for the node is this function, with nothing to put right; sorted."""
    maps = facts.mappings
    if isinstance(maps, model.Unknown) or _too_old(facts, {}):
        return ()
    entry = _entry(node.pve_node, function)
    mine = {name: entries_of(node.pve_node, maps[name])[0] for name in sorted(maps) if not maps[name].checks}
    return tuple(name for name, entries in mine.items() if len(entries) == 1 and same(entries[0], entry))


def same(one: str, other: str) -> bool:
    """Whether two entries mean the same device."""
    return {**_parts(one), "description": ""} == {**_parts(other), "description": ""}


def _parts(entry: str) -> dict[str, str]:
    try:
        return props.complete(SCHEMA, props.split(SCHEMA, entry))
    except ValueError:
        return {"": entry}


def _one(node: wish.NodeWish, device: wish.DeviceWish, facts: model.Facts, there: model.PciMapping | None) -> Draft:
    draft = Draft()
    address = devices.resolve(device, node, facts)
    if isinstance(address, model.Finding):
        draft.findings.append(address)
        return draft
    function = facts.device(address)
    assert isinstance(function, model.PciDevice)
    mine, others = entries_of(node.pve_node, there)
    path, entry = str(ledger_paths.PciMapping(device.mapping)), _entry(node.pve_node, function)
    if len(mine) > 1:
        draft.findings.append(_several(device, mine))
        return draft
    before = mine[0] if mine else None
    if before is not None and same(before, entry):
        draft.noops.append(model.Noop(path, f"names {address}"))
        if there is not None and there.checks:
            draft.findings.append(_check(there, used=bool(_users(node, device.mapping))))
        return draft
    if before is not None and (note := _parts(before).get("description")):
        entry += f",description={note}"
    why = "the device is elsewhere now" if before else "this node has no entry in it"
    draft.drifts.append(model.Drift(path, entry, before, model.Level.PERSISTED, model.Impact.LIVE, node.document, why))
    draft.actions.append(guest_actions.SetMapping(device.mapping, there.digest if there else "", others, entry, before))
    draft.entries.append(model.Entry(node.name, path, before, entry, node.document, ""))
    return draft


def _entry(node: str, function: model.PciDevice) -> str:
    """All that PVE compares at a VM's start."""
    values = {"node": node, "path": function.address, "id": function.id}
    if function.iommu_group is not None:
        values["iommugroup"] = str(function.iommu_group)
    if function.subsystem and function.subsystem != "0000:0000":
        values["subsystem-id"] = function.subsystem
    return ",".join(f"{key}={value}" for key, value in values.items())


def _let_go(
    node: wish.NodeWish,
    name: str,
    entry: model.Entry,
    there: model.PciMapping | None,
    facts: model.Facts,
    planned: Sequence[acts.Action],
    draft: Draft,
) -> None:
    path = str(ledger_paths.PciMapping(name))
    mine, others = entries_of(node.pve_node, there)
    if user := next(rom.users(f"mapping={name}", facts, planned), None):
        draft.noops.append(model.Noop(path, f"kept: {user} names it"))
        return
    draft.forgets.append(path)
    if there is None or len(mine) != 1 or not same(mine[0], entry.applied or ""):
        draft.noops.append(model.Noop(path, "changed by somebody else since; left alone"))
        return
    why = "no document wants it any more"
    draft.drifts.append(
        model.Drift(path, entry.before, mine[0], model.Level.PERSISTED, model.Impact.LIVE, entry.document, why)
    )
    draft.actions.append(guest_actions.SetMapping(name, there.digest, others, entry.before, mine[0]))


def _too_old(facts: model.Facts, wanted: dict[str, wish.DeviceWish]) -> model.Finding | None:
    version = facts.packages.get("pve-manager", "") if not isinstance(facts.packages, model.Unknown) else ""
    if not version or versions.matches(version, ">=8.0"):
        return None
    return model.Finding(
        id="no-mappings",
        subject=f"mappings {', '.join(sorted(wanted))}",
        summary=f"PVE {version} has no resource mappings: they came with 8.0",
        remedy="Take mapping out of the Node's devices: VMs then get the device by its address, which root sets over SSH.",
        who=model.Who.REFUSE,
        evidence=(model.Evidence("pve-manager", version),),
        holds=True,
    )


def _several(device: wish.DeviceWish, mine: Sequence[str]) -> model.Finding:
    return model.Finding(
        id="mapping-several",
        subject=f"mapping {device.mapping}",
        summary=f"mapping {device.mapping} has {len(mine)} entries for this node; which of them is {device.name} cannot be told",
        remedy="Give the device a mapping of its own.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence(_PLACE, entry) for entry in mine),
        holds=True,
    )


def _check(there: model.PciMapping, *, used: bool) -> model.Finding:
    return model.Finding(
        id="mapping-invalid",
        subject=f"mapping {there.name}",
        summary=f"PVE finds mapping {there.name} wrong on this node: {'; '.join(there.checks)}",
        remedy="Correct the mapping (Datacenter, Resource Mappings): a VM that uses it does not start.",
        who=model.Who.REPORT,
        evidence=tuple(model.Evidence("GET /cluster/mapping/pci?check-node", text) for text in there.checks),
        holds=used,
    )
