"""VMs: find ours, compare key by key as PVE means them, and split what is to be written by who may write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from transom import model
from transom.guest import compare, conf, hostpci, identity, registry
from transom.guest.field import Route
from transom.guest.fields import disks
from transom.host import versions
from transom.plan import actions as acts
from transom.plan import device as devices
from transom.plan.draft import Draft, Ledger, cannot_read
from transom.spec import wish

Config = Mapping[str, str]
MARKS = frozenset({"description", "tags"})
"""The keys that carry our mark; the rest of what stands in them is the user's."""


def plan(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> Draft:
    draft = Draft()
    if not node.guests:
        return draft
    if isinstance(facts.guests, model.Unknown):
        draft.findings.append(cannot_read("VM configurations", facts.guests.unknown))
        return draft
    if isinstance(facts.states, model.Unknown):
        if not isinstance(facts.api, model.Unknown):  # else the diagnosis api-unreadable says so
            draft.findings.append(cannot_read("VM states (PVE API)", facts.states.unknown))
        return draft
    for guest in node.guests:
        _guest(node, guest, facts, facts.guests, facts.states, ledger, draft, take_over=take_over)
    return draft


def _guest(
    node: wish.NodeWish,
    guest: wish.GuestWish,
    facts: model.Facts,
    files: Mapping[int, model.GuestFile],
    states: Mapping[int, model.GuestState],
    ledger: Ledger,
    draft: Draft,
    *,
    take_over: bool,
) -> None:
    wants = wanted(guest, node, facts)
    if isinstance(wants, model.Finding):
        draft.findings.append(wants)
        return
    found = find(guest, files, ledger)
    if found is None:
        _create(node, guest, wants, draft)
        return
    if isinstance(found.text, model.Unknown):
        draft.findings.append(cannot_read(f"VM {found.vmid}", found.text.unknown))
        return
    parsed = conf.parse(found.text)
    if not _ours(found.vmid, parsed, guest, ledger) and not take_over:
        draft.findings.append(_not_ours(found.vmid, guest, identity.marked(parsed)))
        return
    _change(node, guest, wants, found, parsed, states.get(found.vmid), ledger, draft)


def wanted(guest: wish.GuestWish, node: wish.NodeWish, facts: model.Facts) -> dict[str, wish.Want] | model.Finding:
    """Every key the documents name, with conditions on the QEMU version settled and the device found on this node."""
    packages = facts.packages if not isinstance(facts.packages, model.Unknown) else {}
    qemu = packages.get("pve-qemu-kvm", "")
    config = {}
    for key, want in guest.config.items():
        if want.qemu and not qemu:
            return cannot_read(f"version of pve-qemu-kvm, on which {key} of {guest.document} depends", "not read")
        if not want.qemu or versions.matches(qemu, want.qemu):
            config[key] = want
    if guest.device:
        address = devices.resolve(guest.device, node, facts)
        if isinstance(address, model.Finding):
            return address
        value = hostpci.render_hostpci(address, guest.hostpci, guest.rom.filename if guest.rom else None)
        config["hostpci0"] = wish.Want(value, guest.document, f"device {guest.device.name}")
    if "description" in config:
        text = identity.mark(config["description"].value, guest.name)
        config["description"] = wish.Want(text, guest.document, "with Transom's mark")
    if "tags" in config:
        config["tags"] = wish.Want(identity.mark_tags(config["tags"].value), guest.document, "with Transom's mark")
    return config


def find(guest: wish.GuestWish, files: Mapping[int, model.GuestFile], ledger: Ledger) -> model.GuestFile | None:
    """The VM of this document: by its id; without one by the ledger, else by its mark (a clone carries a copy of the mark)."""
    if guest.vmid is not None:
        return files.get(guest.vmid)
    parsed = {vmid: conf.parse(file.text) for vmid, file in sorted(files.items()) if isinstance(file.text, str)}
    known = [vmid for vmid, one in parsed.items() if _in_ledger(vmid, one, guest, ledger)]
    marked = [vmid for vmid, one in parsed.items() if identity.marked(one) == guest.name]
    return files[[*known, *marked][0]] if known or marked else None


def _in_ledger(vmid: int, parsed: conf.GuestConf, guest: wish.GuestWish, ledger: Ledger) -> bool:
    """Whether we made or took this very VM: an id is used again by others, a generation id is not."""
    entry = ledger.get(f"qemu/{vmid}")
    return entry is not None and entry.document == guest.document and entry.applied == identity.vmgenid(parsed) != ""


def _ours(vmid: int, parsed: conf.GuestConf, guest: wish.GuestWish, ledger: Ledger) -> bool:
    return identity.marked(parsed) == guest.name or _in_ledger(vmid, parsed, guest, ledger)


def _mark(values: Config, name: str) -> dict[str, str]:
    """The keys that carry our mark, with what stands in them already."""
    return {
        "description": identity.mark(values.get("description", ""), name),
        "tags": identity.mark_tags(values.get("tags", "")),
    }


def _not_ours(vmid: int, guest: wish.GuestWish, mark: str | None) -> model.Finding:
    says = f"marked for {mark}" if mark else "without Transom's mark"
    return model.Finding(
        id="vm-not-ours",
        subject=f"VM {vmid}",
        summary=f"VM {vmid} is there already, {says}, and {guest.document} wants this id",
        remedy="Give the document another vmid, or let Transom take the VM over: transom adopt NODE --take-over.",
        who=model.Who.ADOPT,
        evidence=(model.Evidence(f"/etc/pve/qemu-server/{vmid}.conf", says),),
        holds=True,
    )


def _create(node: wish.NodeWish, guest: wish.GuestWish, wants: Mapping[str, wish.Want], draft: Draft) -> None:
    values = {key: want.value for key, want in wants.items()}
    values |= _mark(values, guest.name)
    api, root = split(values, {})
    subject = f"qemu/{guest.vmid}" if guest.vmid is not None else f"qemu/({guest.name})"
    draft.drifts.append(
        model.Drift(subject, guest.name, None, model.Level.PERSISTED, model.Impact.LIVE, guest.document, "no such VM")
    )
    draft.drifts.extend(
        model.Drift(
            f"{subject}/{key}", want.value, None, model.Level.PERSISTED, model.Impact.LIVE, want.document, want.why
        )
        for key, want in sorted(wants.items())
    )
    draft.actions.append(acts.CreateGuest(guest.vmid, guest.name, api, root))
    draft.entries.append(model.Entry(node.name, subject, None, None, guest.document, ""))
    draft.entries.extend(
        model.Entry(node.name, f"{subject}/{key}", None, want.value, want.document, "") for key, want in wants.items()
    )


Change = TypeVar("Change", str, str | None)


def split(changes: Mapping[str, Change], present: Config) -> tuple[dict[str, Change], dict[str, Change]]:
    """What an API token may write or delete, and what only root may, in order of the keys."""
    api: dict[str, Change] = {}
    root: dict[str, Change] = {}
    for key, value in sorted(changes.items()):
        values = [one for one in (value, present.get(key)) if one is not None]
        (api if registry.route(key, *values) is Route.API else root)[key] = value
    return api, root


def _change(
    node: wish.NodeWish,
    guest: wish.GuestWish,
    wants: Mapping[str, wish.Want],
    found: model.GuestFile,
    parsed: conf.GuestConf,
    state: model.GuestState | None,
    ledger: Ledger,
    draft: Draft,
) -> None:
    vmid, persisted, running = found.vmid, parsed.persisted(), state is not None and state.status == "running"
    subject = f"qemu/{vmid}"
    changes: dict[str, str | None] = {}
    for diff in compare.differences({key: want.value for key, want in wants.items()}, persisted):
        value = _value_to_write(diff.key, wants[diff.key].value, diff.observed)
        if value is None:
            draft.findings.append(_cannot_converge(vmid, diff.key, wants[diff.key].value, diff.observed or ""))
            continue
        changes[diff.key] = value
    _unwanted(subject, wants, persisted, ledger, changes, draft)
    if identity.marked(parsed) != guest.name:
        changes |= _mark(
            {**persisted, **{key: value for key, value in changes.items() if value is not None}}, guest.name
        )
        draft.entries.append(model.Entry(node.name, subject, None, identity.vmgenid(parsed), guest.document, ""))
    for key, value in sorted(changes.items()):
        _note(node, guest, subject, key, value, persisted.get(key), wants, draft, running=running)
    if changes:
        draft.actions.append(_action(vmid, found.digest, changes, persisted))
    _effective(guest, subject, parsed, changes, draft, running=running)


def _value_to_write(key: str, want: str, observed: str | None) -> str | None:
    """None when writing cannot bring what is wanted (a disk that would have to be resized)."""
    field = registry.field_for(key)
    value = want if observed is None else field.merge(want, observed)
    return None if observed is not None and value == observed else value


def _unwanted(
    subject: str,
    wants: Mapping[str, wish.Want],
    persisted: Config,
    ledger: Ledger,
    changes: dict[str, str | None],
    draft: Draft,
) -> None:
    """Keys that we wrote and no document names any more go back to what they were, if nobody changed them since."""
    for path, entry in ledger.items():
        if not path.startswith(f"{subject}/"):
            continue
        key = path.removeprefix(f"{subject}/")
        if key in wants:
            continue
        draft.forgets.append(path)
        observed = persisted.get(key)
        if observed is None and entry.before is None:
            draft.noops.append(model.Noop(path, "already gone"))
        elif observed is None or not registry.field_for(key).same(entry.applied or "", observed):
            draft.noops.append(model.Noop(path, "changed by somebody else since; left alone"))
        elif registry.field_for(key).name == "disk":
            draft.noops.append(model.Noop(path, "a disk is never removed; detach it yourself"))
        else:
            changes[key] = entry.before


def _note(
    node: wish.NodeWish,
    guest: wish.GuestWish,
    subject: str,
    key: str,
    value: str | None,
    observed: str | None,
    wants: Mapping[str, wish.Want],
    draft: Draft,
    *,
    running: bool,
) -> None:
    want = wants.get(key)
    restart = running and not registry.field_for(key).hotplug
    impact = model.Impact.GUEST_RESTART if restart else model.Impact.LIVE
    document = want.document if want else guest.document
    why = want.why if want else ("Transom's mark" if value and key in MARKS else "no document wants it any more")
    draft.drifts.append(model.Drift(f"{subject}/{key}", value, observed, model.Level.PERSISTED, impact, document, why))
    if want:
        draft.entries.append(model.Entry(node.name, f"{subject}/{key}", observed, want.value, document, ""))


def _action(vmid: int, digest: str, changes: Mapping[str, str | None], persisted: Config) -> acts.ChangeGuest:
    api, root = split(changes, persisted)
    before = {key: persisted.get(key) for key in changes}
    return acts.ChangeGuest(
        vmid,
        digest,
        {key: value for key, value in api.items() if value is not None},
        {key: value for key, value in root.items() if value is not None},
        tuple(key for key, value in api.items() if value is None),
        tuple(key for key, value in root.items() if value is None),
        before,
    )


def _effective(
    guest: wish.GuestWish,
    subject: str,
    parsed: conf.GuestConf,
    changes: Iterable[str],
    draft: Draft,
    *,
    running: bool,
) -> None:
    """What a running VM still lacks until it is restarted."""
    if not running:
        return
    current, persisted = parsed.current(), parsed.persisted()
    pending = sorted(key for key in {*current, *persisted} if current.get(key) != persisted.get(key))
    later = [key for key in changes if not registry.field_for(key).hotplug]
    for key in pending:
        draft.drifts.append(
            model.Drift(
                f"{subject}/{key}", persisted.get(key), current.get(key), model.Level.EFFECTIVE,
                model.Impact.GUEST_RESTART, guest.document, "pending until the VM restarts",
            )
        )  # fmt: skip
    if pending or later:
        vmid = int(subject.removeprefix("qemu/"))
        draft.actions.append(acts.RestartGuest(vmid, f"pending: {', '.join(sorted({*pending, *later}))}"))


def _cannot_converge(vmid: int, key: str, want: str, observed: str) -> model.Finding:
    return model.Finding(
        id="vm-cannot-converge",
        subject=f"VM {vmid} {key}",
        summary=f"{key} is {observed!r} and should be {want!r}: {disks.obstacle(want, observed) or 'writing it changes nothing'}",
        remedy="Resize or move the disk yourself, or change the document.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(f"/etc/pve/qemu-server/{vmid}.conf", f"{key}: {observed}"),),
        holds=True,
    )
