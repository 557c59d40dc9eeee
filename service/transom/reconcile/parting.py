"""Letting go: a node or VM goes back to what it was before Transom, or a VM that Transom made is deleted.

The host part is an ordinary plan of documents without what is let go: what nobody wants is taken out. To it comes what an ordinary
plan never does: our mark leaves the VM, or the VM goes with its disks, and the ledger forgets it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from transom import model
from transom.guest import conf, identity, owned
from transom.plan import actions as acts
from transom.plan import draft, guest_actions, make, result, whose
from transom.plan import guest as guests
from transom.reconcile import job, papers
from transom.reconcile import world as w
from transom.spec import resolve, wish
from transom.store import records, store


@dataclasses.dataclass
class Parting(job.Job):
    """``node`` is what is wanted afterwards; ``leaving`` are the VMs that are let go."""

    leaving: tuple[wish.GuestWish, ...] = ()
    deletes: bool = False
    """Whether VMs are deleted; otherwise they stay and lose only the mark."""
    whole: bool = False
    """The node itself is let go: nothing on it is ours any more."""

    def plan(self, facts: model.Facts, *, take_over: bool = False) -> result.Plan:
        """The way there from ``facts``; empty when it has been gone."""
        ledger = self.store.ledger(self.node.name)
        if isinstance(facts.guests, model.Unknown) and self.leaving:
            return self._held(facts, [draft.cannot_read("VM configurations", facts.guests.unknown)])
        files = facts.guests if not isinstance(facts.guests, model.Unknown) else {}
        found = [(one, guests.find(one, files, ledger)) for one in self.leaving]
        there = [(one, file) for one, file in found if file is not None]
        findings = [item for one, file in there for item in self._obstacles(one, file, facts)]
        if findings:
            return self._held(facts, findings)
        gone = {file.vmid for _, file in there} if self.deletes else set()
        forgets = tuple(path for path in ledger if any(_about(path, ledger[path], one) for one in self.leaving))
        rest = {path: entry for path, entry in ledger.items() if path not in forgets}
        base = make.make(self.node, _without(facts, gone), rest, take_over=take_over)
        if base.held_whole:
            return base
        first = [step for one, file in there for step in self._let_go(one, file)]
        left = [path for path in ledger if path not in forgets and path not in base.forgets] if self.whole else []
        return dataclasses.replace(
            base,
            drifts=(*(_drift(step) for step in first), *base.drifts),
            actions=(*first, *base.actions),
            forgets=(*forgets, *base.forgets, *left),
        )

    def _held(self, facts: model.Facts, findings: Iterable[model.Finding]) -> result.Plan:
        del facts
        found = tuple(findings)
        gates = tuple(result.Gate(one.id, False, f"{one.id}: {one.summary}") for one in found)
        return result.Plan(self.node.name, make.fingerprint(self.node), findings=found, gates=gates)

    def _let_go(self, guest: wish.GuestWish, file: model.GuestFile) -> list[acts.Action]:
        assert isinstance(file.text, str)
        parsed = conf.parse(file.text)
        if self.deletes:
            return [guest_actions.DestroyGuest(file.vmid, guest.name, file.digest, owned.volumes(parsed, file.vmid))]
        change = _unmark(parsed.persisted(), guest.name)
        if not change:
            return []
        api = {key: value for key, value in change.items() if value is not None}
        deleted = tuple(key for key, value in change.items() if value is None)
        before = {key: parsed.persisted().get(key) for key in change}
        return [guest_actions.ChangeGuest(file.vmid, file.digest, api, {}, deleted, (), before)]

    def _obstacles(self, guest: wish.GuestWish, file: model.GuestFile, facts: model.Facts) -> list[model.Finding]:
        subject = f"VM {file.vmid}"
        if isinstance(file.text, model.Unknown):
            return [draft.cannot_read(subject, file.text.unknown)]
        if isinstance(facts.states, model.Unknown):
            return [draft.cannot_read("VM states (PVE API)", facts.states.unknown)]
        state = facts.states.get(file.vmid)
        found = []
        if state is not None and state.lock:
            found.append(
                _obstacle("vm-locked", subject, f"it is locked ({state.lock})", "Wait for what holds the lock.")
            )
        if not self.deletes:
            return found
        if state is None or state.status != "stopped":
            says = state.status if state else "in a state that is not known"
            found.append(_obstacle("vm-running", subject, f"it is {says}", "Shut it down first."))
        if isinstance(facts.ha, dict) and file.vmid in facts.ha:
            remedy = f"Take it out of HA first: ha-manager remove vm:{file.vmid}"
            found.append(_obstacle("vm-in-ha", subject, f"HA manages it ({facts.ha[file.vmid]})", remedy))
        if obstacle := self._not_proven(guest, file.vmid, conf.parse(file.text)):
            found.append(obstacle)
        return found

    def _not_proven(self, guest: wish.GuestWish, vmid: int, parsed: conf.GuestConf) -> model.Finding | None:
        """What is missing of the proof that this is the VM that a run of ours made; None when nothing is."""
        subject, remedy = f"VM {vmid}", f"Let it go with: transom release {guest.name}"
        if not self._made(guest, vmid):
            return _obstacle("vm-not-made", subject, "Transom did not make it, so it does not delete it", remedy)
        if whose.reused(vmid, guest, parsed, self.store.ledger(self.node.name)):
            summary = "it is another VM than the one that Transom made, which does not delete it"
            return _obstacle("vm-reused", subject, summary, remedy)
        if identity.marked(parsed) == guest.name:
            return None
        tagged = identity.TAG in identity.tags(parsed.persisted().get("tags", ""))
        part = f"line `transom: {guest.name}` at the end of its notes" if tagged else f"tag {identity.TAG}"
        summary = f"Transom made it, but the {part} was removed: somebody else may own it now, so it is not deleted"
        return _obstacle("vm-mark-removed", subject, summary, f"Let `transom apply` put it back first. {remedy}")

    def _made(self, guest: wish.GuestWish, vmid: int) -> bool:
        """Whether a run of ours created this very VM: ids are used again, so the ledger must know it too."""
        entry = self.store.ledger(self.node.name).get(f"qemu/{vmid}")
        if entry is None or entry.document != guest.document:
            return False
        stored = {run.plan for run in self.store.runs(self.node.name) if run.state != records.UNDONE}
        plans = (self.store.plan(hash) for hash in stored)
        steps = (step for plan in plans if plan for step in plan.content["actions"])
        return any(
            step["kind"] == "create-guest" and step["name"] == guest.name and step["vmid"] in (None, vmid)
            for step in steps
        )


def of(
    node: wish.NodeWish, titles: Collection[str], sheets: papers.Papers, world: w.World, kept: store.Store, kind: str
) -> Parting:
    """Letting the documents ``titles`` go from ``node``; ``kind`` is release or remove. SpecError when the other documents no
    longer fit together without them."""
    rest = resolve.resolve(sheets.merged(without=titles))
    then = next((one for one in rest if one.name == node.name), after(node))
    leaving = tuple(guest for guest in node.guests if guest.document in titles)
    deletes, whole = kind == "remove", node.document in titles
    return Parting(then, world, kept, kind, leaving=leaving, deletes=deletes, whole=whole)


def after(node: wish.NodeWish) -> wish.NodeWish:
    """What is wanted of a node that nobody declares any more: nothing."""
    nothing: dict[str, tuple[wish.Want, ...]] = dict.fromkeys(node.host, ())
    return dataclasses.replace(node, host=nothing, devices={}, guests=(), policy=wish.PolicyWish(), recipes=())


def _about(path: str, entry: model.Entry, guest: wish.GuestWish) -> bool:
    return path.startswith("qemu/") and entry.document.partition(" (")[0] == guest.document


def _without(facts: model.Facts, vmids: set[int]) -> model.Facts:
    """The facts as they will be when these VMs are gone."""
    if isinstance(facts.guests, model.Unknown) or isinstance(facts.states, model.Unknown):
        return facts
    return dataclasses.replace(
        facts,
        guests={vmid: file for vmid, file in facts.guests.items() if vmid not in vmids},
        states={vmid: state for vmid, state in facts.states.items() if vmid not in vmids},
    )


def _unmark(values: Mapping[str, str], name: str) -> dict[str, str | None]:
    """What takes our mark out; empty when it is not there."""
    description, tags = values.get("description", ""), values.get("tags", "")
    change: dict[str, str | None] = {}
    found = identity.read(description)
    if found is not None and found.name == name:
        change["description"] = identity.forget(description, name) or None
    if identity.TAG in identity.tags(tags):
        change["tags"] = identity.unmark_tags(tags) or None
    return change


def _drift(step: acts.Action) -> model.Drift:
    assert isinstance(step, guest_actions.DestroyGuest | guest_actions.ChangeGuest)
    what = "there" if isinstance(step, guest_actions.DestroyGuest) else "marked as Transom's"
    return model.Drift(f"qemu/{step.vmid}", None, what, model.Level.PERSISTED, model.Impact.LIVE, "", "let go")


def _obstacle(id: str, subject: str, summary: str, remedy: str) -> model.Finding:
    return model.Finding(
        id=id,
        subject=subject,
        summary=f"{subject}: {summary}",
        remedy=remedy,
        who=model.Who.REPORT,
        evidence=(model.Evidence(subject, summary),),
        holds=True,
    )
