"""VMs: find ours, compare key by key as PVE means them, and split what is to be written by who may write it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set

from transom import model
from transom.guest import compare, conf, hostpci, identity, registry
from transom.guest.fields import disks
from transom.host import versions
from transom.plan import detached, guest_actions, keys, running, stopped, whose
from transom.plan import device as devices
from transom.plan.draft import Draft, Ledger, Part, cannot_read
from transom.spec import wish

Config = Mapping[str, str]
Wants = Mapping[str, wish.Want]
MARKS = frozenset({"description", "tags"})
"""The keys that carry our mark; the rest of what stands in them is the user's."""
_LONGEST_NOTE = 8192
"""Characters of a description (qemu-server 9.2.6, ``maxLength``)."""


@dataclasses.dataclass(frozen=True)
class Desk:
    """What planning one node's VMs looks at."""

    node: wish.NodeWish
    facts: model.Facts
    files: Mapping[int, model.GuestFile]
    states: Mapping[int, model.GuestState]
    ledger: Ledger
    take_over: bool


@dataclasses.dataclass(frozen=True)
class Present:
    """A VM that is there, and what is wanted of it."""

    wish: wish.GuestWish
    wants: Wants
    file: model.GuestFile
    conf: conf.GuestConf
    running: bool

    @property
    def vmid(self) -> int:
        return self.file.vmid

    @property
    def subject(self) -> str:
        return f"qemu/{self.vmid}"

    @property
    def persisted(self) -> dict[str, str]:
        return self.conf.persisted()


def parts(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> list[Part]:
    """One for each VM, in their order; one of the node's own when nothing is known of its VMs."""
    if not node.guests:
        return []
    if isinstance(facts.guests, model.Unknown):
        return [Part(Draft(findings=[cannot_read("VM configurations", facts.guests.unknown)]))]
    if isinstance(facts.states, model.Unknown):
        if isinstance(facts.api, model.Unknown):
            return []  # the diagnosis api-unreadable says so
        return [Part(Draft(findings=[cannot_read("VM states (PVE API)", facts.states.unknown)]))]
    desk = Desk(node, facts, facts.guests, facts.states, ledger, take_over)
    return [Part(_guest(desk, guest), frozenset({guest.document})).about() for guest in node.guests]


def _guest(desk: Desk, guest: wish.GuestWish) -> Draft:
    if guest.rom and not guest.rom.ready:
        return Draft()  # ``plan.rom`` says why it waits
    wants = wanted(guest, desk.node, desk.facts)
    if isinstance(wants, model.Finding):
        return Draft(findings=[wants])
    file = find(guest, desk.files, desk.ledger)
    if file is None:
        absent = _unread(desk, guest) or _elsewhere(desk, guest) or whose.gone(guest, desk.ledger)
        return Draft(findings=[absent]) if absent else _create(desk, guest, wants)
    if isinstance(file.text, model.Unknown):
        return Draft(findings=[cannot_read(f"VM {file.vmid}", file.text.unknown)])
    state = desk.states.get(file.vmid)
    if state is None:
        return Draft(
            findings=[cannot_read(f"state of VM {file.vmid}", "it is not among the VMs that the API token sees")]
        )
    parsed = conf.parse(file.text)
    if (guest.identity or not desk.take_over) and (another := whose.another(file.vmid, guest, parsed, desk.ledger)):
        return Draft(findings=[another])
    if not _ours(file.vmid, parsed, guest, desk.ledger) and not desk.take_over:
        return Draft(findings=[_not_ours(file.vmid, guest, identity.marked(parsed))])
    draft = _change(desk, Present(guest, wants, file, parsed, state.status == "running"))
    draft.findings.extend(whose.copies(guest, file.vmid, desk.files))
    return draft


def wanted(guest: wish.GuestWish, node: wish.NodeWish, facts: model.Facts) -> dict[str, wish.Want] | model.Finding:
    """Every key the documents name, with conditions on the QEMU version settled and the device found on this node."""
    packages = facts.packages if not isinstance(facts.packages, model.Unknown) else {}
    qemu = packages.get("pve-qemu-kvm", "")
    config = {}
    for key, want in guest.config.items():
        if want.qemu and not qemu:
            return cannot_read(f"version of pve-qemu-kvm, on which {key} of {guest.document} depends", "not read")
        if not want.qemu or versions.matches(qemu, want.qemu):
            config[key] = dataclasses.replace(want, value=registry.normal(key, want.value))
    if guest.device:
        address = devices.resolve(guest.device, node, facts)
        if isinstance(address, model.Finding):
            return address
        rom, mapping = guest.rom.filename if guest.rom else None, guest.device.mapping
        value = (
            hostpci.render_mapped(mapping, guest.hostpci, rom)
            if mapping
            else hostpci.render_hostpci(address, guest.hostpci, rom)
        )
        config["hostpci0"] = wish.Want(value, guest.document, f"device {guest.device.name}")
    if guest.identity:  # known by that: what it was adopted with is no mark yet
        return config
    marked = _mark({key: config[key].value for key in MARKS & config.keys()}, guest.name)
    for key in MARKS & config.keys():
        config[key] = wish.Want(marked[key], guest.document, "with Transom's mark")
    return config


# --- which VM --------------------------------------------------------------------------------------------------------


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
    return entry is not None and entry.document == guest.document and identity.known(parsed, entry.applied)


def _ours(vmid: int, parsed: conf.GuestConf, guest: wish.GuestWish, ledger: Ledger) -> bool:
    return bool(guest.identity) or identity.marked(parsed) == guest.name or _in_ledger(vmid, parsed, guest, ledger)


def _unread(desk: Desk, guest: wish.GuestWish) -> model.Finding | None:
    """A VM that is looked for by its mark may be the one that could not be read: another one is not made beside it."""
    if guest.vmid is not None:
        return None
    texts = ((vmid, file.text) for vmid, file in sorted(desk.files.items()))
    unread = next(((vmid, text.unknown) for vmid, text in texts if isinstance(text, model.Unknown)), None)
    return cannot_read(f"VM {unread[0]}, which may be {guest.document}", unread[1]) if unread else None


def _elsewhere(desk: Desk, guest: wish.GuestWish) -> model.Finding | None:
    """The VM is not on this node; making one is wrong when another node of the cluster has it."""
    others = desk.facts.elsewhere
    candidates = [guest.vmid] if guest.vmid is not None else whose.made(guest, desk.ledger)
    if isinstance(others, model.Unknown):
        if not desk.node.access.has_ssh and (guest.vmid is not None or not candidates):
            return None  # PVE itself refuses an id that any node has
        return cannot_read("VMs of the other nodes", others.unknown)
    for vmid in candidates:
        if vmid in others:
            return model.Finding(
                id="vm-elsewhere",
                subject=f"VM {vmid}",
                summary=f"VM {vmid}, which {guest.document} wants on {desk.node.name}, is on {others[vmid]}",
                remedy="Name the node where it is in the document, move the VM back, or give the document another vmid.",
                who=model.Who.REPORT,
                evidence=(model.Evidence("/etc/pve/.vmlist", f"{vmid} on {others[vmid]}"),),
                holds=True,
            )
    return None


def _mark(values: Config, name: str, *, tagged: bool = False) -> dict[str, str]:
    """The keys that carry our mark, with what stands in them already. ``tagged``: in a VM that has our tag."""
    return {
        "description": identity.mark(values.get("description", ""), name, tagged=tagged),
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


# --- making and changing ---------------------------------------------------------------------------------------------


def _create(desk: Desk, guest: wish.GuestWish, wants: Wants) -> Draft:
    draft, node = Draft(), desk.node.name
    values = {key: want.value for key, want in wants.items()}
    api, root = keys.split(values | _mark(values, guest.name), {})
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
    action = guest_actions.CreateGuest(guest.vmid, guest.name, api, root)
    draft.actions.append(action)
    unfit = keys.unfit(guest.vmid, wants, {}) if keys.is_listed(desk.facts) else None
    draft.findings.extend(filter(None, [keys.needs_root(desk.node, action), unfit]))
    draft.entries.append(model.Entry(node, subject, None, None, guest.document, ""))
    draft.entries.extend(
        model.Entry(node, f"{subject}/{key}", None, detached.applied(key, want.value, None), want.document, "")
        for key, want in wants.items()
    )
    for vmid in whose.made(guest, desk.ledger):  # one that we made before and that is gone
        draft.forgets.extend(
            path
            for path in desk.ledger
            if (path == f"qemu/{vmid}" or path.startswith(f"qemu/{vmid}/")) and f"qemu/{vmid}" != subject
        )
    return draft


def _change(desk: Desk, vm: Present) -> Draft:
    draft = Draft()
    if keys.is_listed(desk.facts) and (unfit := keys.unfit(vm.vmid, vm.wants, vm.persisted)):
        draft.findings.append(unfit)
    changes: dict[str, str | None] = dict(_wanted_changes(vm, desk.ledger, draft))
    changes |= _unwanted(vm, desk.ledger, draft)
    unmarked = identity.marked(vm.conf) != vm.wish.name
    # A VM that a document adopted is as it was until something is changed; the mark comes with that.
    reused = whose.reused(vm.vmid, vm.wish, vm.conf, desk.ledger)
    if reused or (unmarked and (changes or not vm.wish.identity)):
        standing = vm.persisted | {key: value for key, value in changes.items() if value is not None}
        tagged = identity.TAG in identity.tags(vm.persisted.get("tags", ""))
        marks = _mark(standing, vm.wish.name, tagged=tagged)
        stands = {key for key in marks if key not in changes and marks[key] == vm.persisted.get(key, "").rstrip()}
        changes |= {key: value for key, value in marks.items() if key not in stands}
        if reused:
            draft.drifts.append(whose.taken(vm.vmid, vm.wish, vm.conf, desk.ledger))
            changes = changes or {"tags": marks["tags"]}  # the same again: with a run of its own it is ours
        made = model.Entry(desk.node.name, vm.subject, None, identity.known_as(vm.conf), vm.wish.document, "")
        draft.entries.append(made)
    action = keys.change(vm.vmid, vm.file.digest, changes, vm.conf)
    for key, value in sorted(changes.items()):
        if value == vm.persisted.get(key):
            continue
        _note(desk, vm, key, value, draft, live=key in action.revert)
    if changes:
        draft.actions.append(action)
        draft.findings.extend(
            filter(None, [keys.needs_root(desk.node, action), keys.lost(vm.vmid, vm.conf, desk.facts)])
        )
        if unmarked and not desk.node.access.has_ssh:
            draft.findings.append(keys.unseen(vm.vmid))
        draft.findings.extend(filter(None, [_too_long(vm, changes.get("description"))]))
    if changes and not vm.running:  # PVE applies what is pending of a stopped VM with whatever is written next
        theirs = _pending(vm) - action.revert.keys() - _named(desk, vm, changes.keys())
        draft.findings.extend([_comes_along(vm, sorted(theirs), "change")] if theirs else [])
    if vm.running:
        _restart(desk, vm, changes.keys() - action.revert.keys(), draft, reverted=action.revert.keys())
    elif left := desk.facts.left_stopped.get(vm.vmid):
        draft.add(stopped.left(vm.vmid, vm.wish.document, left, desk.facts.ha))
    return draft


def _wanted_changes(vm: Present, ledger: Ledger, draft: Draft) -> Iterator[tuple[str, str]]:
    """The keys to write, with the values that keep what PVE made; a finding for each that writing cannot bring about."""
    for diff in compare.differences({key: want.value for key, want in vm.wants.items()}, vm.persisted):
        field, want = registry.field_for(diff.key), vm.wants[diff.key].value
        if diff.observed is None:
            if lost := detached.judge(vm.vmid, diff.key, vm.wants[diff.key], vm.conf, ledger):
                draft.findings.append(lost)
            else:
                yield diff.key, want
            continue
        value = field.merge(want, diff.observed)
        # What runs has the wanted disk already when only a pending change is to be taken back.
        reverted = field.same(want, vm.conf.current().get(diff.key, ""))
        obstacle = disks.obstacle(want, diff.observed, name=field.name) if field.holds_data and not reverted else ""
        if obstacle or value == diff.observed:
            draft.findings.append(_cannot_converge(vm.vmid, diff.key, want, diff.observed, obstacle))
        else:
            yield diff.key, value


def _unwanted(vm: Present, ledger: Ledger, draft: Draft) -> Iterator[tuple[str, str | None]]:
    """Keys that we wrote and no document names any more go back to what they were, if nobody changed them since."""
    for path, entry in ledger.items():
        key = path.removeprefix(f"{vm.subject}/")
        if key == path or key in vm.wants:
            continue
        draft.forgets.append(path)
        field, observed = registry.field_for(key), vm.persisted.get(key)
        before = _mark({key: entry.before or ""}, vm.wish.name)[key] if key in MARKS else entry.before
        if observed == before:
            draft.noops.append(model.Noop(path, "is as it was before"))
        elif observed is None or not field.same(entry.applied or "", observed):
            draft.noops.append(model.Noop(path, "changed by somebody else since; left alone"))
        elif field.holds_data:
            draft.noops.append(model.Noop(path, "a disk is never removed; detach it yourself"))
        else:
            yield key, before


def _note(desk: Desk, vm: Present, key: str, value: str | None, draft: Draft, *, live: bool) -> None:
    """``live``: what runs has the value already, and only a pending change is taken back."""
    want, observed = vm.wants.get(key), vm.persisted.get(key)
    restart = vm.running and not live and not registry.field_for(key).live
    impact = model.Impact.GUEST_RESTART if restart else model.Impact.LIVE
    document = want.document if want else vm.wish.document
    why = want.why if want else "Transom's mark" if value and key in MARKS else "no document wants it any more"
    if live:
        pending, said = "removal" if observed is None else observed, f"; {why}" if why else ""
        why = f"{vm.conf.current().get(key, 'nothing')} (pending {pending}): what is pending is taken back{said}"
    path = f"{vm.subject}/{key}"
    draft.drifts.append(model.Drift(path, value, observed, model.Level.PERSISTED, impact, document, why))
    if want:
        stands = value if observed is not None else vm.conf.current().get(key)
        applied = detached.applied(key, want.value, stands)
        draft.entries.append(model.Entry(desk.node.name, path, observed, applied, document, ""))


def _restart(desk: Desk, vm: Present, changed: Set[str], draft: Draft, *, reverted: Set[str]) -> None:
    """What a running VM still lacks, or may lack after the change, until it is restarted. Pending changes of keys that no document
    names are somebody else's; a restart brings them into effect too."""
    current, persisted = vm.conf.current(), vm.persisted
    ours = _named(desk, vm, changed)
    pending = _pending(vm) - reverted
    same = {key for key in pending & ours if _means_the_same(key, current, persisted)}
    draft.noops.extend(
        model.Noop(f"{vm.subject}/{key}", "pending, and means what runs; no restart") for key in sorted(same)
    )
    pending -= same
    for key in sorted(pending & ours):
        draft.drifts.append(
            model.Drift(
                f"{vm.subject}/{key}", persisted.get(key), current.get(key), model.Level.EFFECTIVE,
                model.Impact.GUEST_RESTART, vm.wish.document, "pending until the VM restarts",
            )
        )  # fmt: skip
    draft.noops.extend(
        model.Noop(f"{vm.subject}/{key}", "somebody's pending change; left to that person")
        for key in sorted(pending - ours)
    )
    needed = sorted((pending & ours) | {key for key in changed if not registry.field_for(key).live})
    otherwise = running.judge(vm.vmid, vm.conf, vm.wants, desk.node, desk.facts)
    draft.drifts.extend(otherwise.drifts)
    draft.findings.extend(otherwise.findings)
    if needed or otherwise.stale:
        draft.actions.append(guest_actions.RestartGuest(vm.vmid, tuple(needed), otherwise.stale))
        if pending - ours:
            draft.findings.append(_comes_along(vm, sorted(pending - ours), "restart"))


def _pending(vm: Present) -> set[str]:
    current, persisted = vm.conf.current(), vm.persisted
    return {key for key in {*current, *persisted} if current.get(key) != persisted.get(key)}


def _means_the_same(key: str, current: Config, persisted: Config) -> bool:
    """Whether the next start brings nothing new: ``memory: 512``, say, and none at all are one."""
    there, other = (persisted, current) if key in persisted else (current, persisted)
    return not compare.differences({key: there[key]}, other)


def _named(desk: Desk, vm: Present, changed: Set[str]) -> set[str]:
    """The keys that documents name, or named once."""
    return {*vm.wants, *changed} | {path.removeprefix(f"{vm.subject}/") for path in desk.ledger}


def _too_long(vm: Present, note: str | None) -> model.Finding | None:
    """PVE counts our mark too."""
    over = len(note or "") - _LONGEST_NOTE
    if over <= 0:
        return None
    return model.Finding(
        id="vm-note-too-long",
        subject=f"VM {vm.vmid}",
        summary=f"the description with Transom's mark is {over} characters longer than PVE takes ({_LONGEST_NOTE})",
        remedy=f"Shorten the VM's notes, or the document's description, by {over} characters.",
        who=model.Who.REFUSE,
        evidence=(model.Evidence(f"VM {vm.vmid} description", f"{len(note or '')} characters"),),
        holds=True,
    )


def _comes_along(vm: Present, others: Sequence[str], what: str) -> model.Finding:
    return model.Finding(
        id="pending-comes-along",
        subject=f"VM {vm.vmid}",
        summary=f"the {what} also brings {', '.join(others)} into effect, which somebody else has left pending",
        remedy=f"Take it back first if it is not meant: qm set {vm.vmid} --revert {','.join(others)}.",
        who=model.Who.REPORT,
        evidence=tuple(
            model.Evidence(f"pending of VM {vm.vmid}", f"{key}: {vm.persisted.get(key, 'goes')}") for key in others
        ),
    )


def _cannot_converge(vmid: int, key: str, want: str, observed: str, obstacle: str) -> model.Finding:
    return model.Finding(
        id="vm-cannot-converge",
        subject=f"VM {vmid} {key}",
        summary=f"{key} is {observed!r} and should be {want!r}: {obstacle or 'writing it changes nothing'}",
        remedy="Resize, move or detach the disk yourself, or change the document.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(f"/etc/pve/qemu-server/{vmid}.conf", f"{key}: {observed}"),),
        holds=True,
    )
