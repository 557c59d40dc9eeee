"""Laying the parts together: findings first, then host, ROM, reboot and VMs in the order in which they can work."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from transom import model
from transom.diagnose import registry as diagnoses
from transom.diagnose import rule
from transom.plan import actions as acts
from transom.plan import forecast, guest, host, mapping, reboot, rom
from transom.plan.draft import Draft, Ledger, cannot_read
from transom.plan.result import Gate, Plan
from transom.spec import wish


def make(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> Plan:
    """The plan for one node. ``take_over``: its user lets foreign lines that contradict be commented out, and VMs be taken."""
    node = rom.settled(node, facts)
    draft = host.plan(node, facts, ledger, take_over=take_over)
    restart = _reboot(facts, draft)
    draft.add(rom.plan(node, facts))
    if restart:
        draft.actions.append(restart)
    draft.add(mapping.plan(node, facts))
    draft.add(guest.plan(node, facts, ledger, take_over=take_over))
    draft.add(mapping.removals(node, facts, ledger, draft.actions))
    draft.add(rom.removals(node, facts, ledger, draft.actions))
    findings = _unique(
        (*draft.findings, *diagnoses.run(facts, _within_reach(node), _leaving(draft), doing(draft.actions)))
    )
    gates = _gates(findings)
    held = any(not gate.open for gate in gates)
    return Plan(
        node=node.name,
        documents=fingerprint(node),
        recipes=node.recipes,
        drifts=tuple(draft.drifts),
        findings=findings,
        noops=tuple(draft.noops),
        actions=() if held else reboot.around(draft.actions, node, facts),
        entries=() if held else tuple(draft.entries),
        forgets=() if held else tuple(draft.forgets),
        gates=gates,
        next_boot=None if held else forecast.of(node, facts, draft.actions),
    )


def doing(actions: Iterable[acts.Action]) -> frozenset[rule.When]:
    """What of these the rules are about that guard the host."""
    found = {rule.When.ALWAYS}
    for action in actions:
        restores = isinstance(action, acts.RestoreFile) and bool(action.after or action.reboot)
        if restores or isinstance(action, (*acts.FILE_ACTIONS, acts.RunStep, acts.Reboot)):
            found.add(rule.When.HOST)
        if isinstance(action, acts.Reboot):
            found.add(rule.When.REBOOT)
    return frozenset(found)


def _within_reach(node: wish.NodeWish) -> wish.NodeWish:
    """Without SSH no host setting is made, so that none is judged either."""
    return node if node.access.has_ssh else dataclasses.replace(node, host={})


def fingerprint(node: wish.NodeWish) -> str:
    """Hash of everything the documents want of this node, recipes included; secrets are only named in it. The policy is not part
    of it: it says when something is done, not what."""
    wanted = dataclasses.replace(node, policy=wish.PolicyWish())
    return hashlib.sha256(json.dumps(model.to_json(wanted), sort_keys=True).encode()).hexdigest()


def _reboot(facts: model.Facts, draft: Draft) -> acts.Reboot | None:
    if not draft.reboot:
        return None
    if isinstance(facts.boot.boot_id, model.Unknown):
        draft.findings.append(cannot_read("/proc/sys/kernel/random/boot_id", facts.boot.boot_id.unknown))
        return None
    states = facts.states if not isinstance(facts.states, model.Unknown) else {}
    running = sorted(vmid for vmid, state in states.items() if state.status == "running")
    stops = f"; running VMs {', '.join(map(str, running))} are shut down by it" if running else ""
    return acts.Reboot(facts.boot.boot_id, draft.reboot[0] + stops, by_hand=facts.here is not False)


def _leaving(draft: Draft) -> dict[int, dict[str, str | None]]:
    """Keys of VMs that go back to what they were, since no document names them any more."""
    return {
        action.vmid: {
            key: value for key, value in action.wanted.items() if f"qemu/{action.vmid}/{key}" in draft.forgets
        }
        for action in draft.actions
        if isinstance(action, acts.ChangeGuest)
    }


def _gates(findings: tuple[model.Finding, ...]) -> tuple[Gate, ...]:
    holding = [finding for finding in findings if finding.holds]
    return tuple(Gate(finding.id, False, f"{finding.id}: {finding.summary}") for finding in holding)


def _unique(findings: tuple[model.Finding, ...]) -> tuple[model.Finding, ...]:
    """The planner and a rule may see the same thing: one finding for each id and subject, the first."""
    kept: dict[tuple[str, str], model.Finding] = {}
    for finding in findings:
        kept.setdefault((finding.id, finding.subject), finding)
    return tuple(kept.values())
