"""Laying the parts together: findings first, then host, ROM, reboot and VMs in the order in which they can work."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence

from transom import model
from transom.diagnose import registry as diagnoses
from transom.diagnose import rule
from transom.plan import actions as acts
from transom.plan import another_kernel, forecast, guest, guest_actions, hold, host, later, mapping, reboot, rom, trial
from transom.plan.draft import Draft, Ledger, Part, cannot_read
from transom.plan.result import Plan
from transom.spec import wish


def make(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, *, take_over: bool = False) -> Plan:
    """The plan for one node. ``take_over``: its user lets foreign lines that contradict be commented out, and VMs be taken."""
    node = rom.settled(node, facts)
    of_host = host.plan(node, facts, ledger, take_over=take_over)
    parts = [
        Part(of_host),
        *rom.parts(node, facts),
        Part(_reboot(facts, of_host)),
        *mapping.parts(node, facts),
        *guest.parts(node, facts, ledger, take_over=take_over),
    ]
    actions = [action for part in parts for action in part.draft.actions]
    judged = diagnoses.run(facts, _within_reach(node), _leaving(parts), doing(actions), forecast.after(facts, actions))
    findings = hold.widened(hold.merged((*_findings(parts), *trial.running(facts), *judged)), of_host.drifts)
    draft = hold.carried_out(parts, hold.held(findings))
    draft.add(late := _removals(node, facts, ledger, draft.actions))
    findings = hold.merged((*findings, *late.findings, *trial.note(draft.actions, node, facts)))
    gates = hold.gates(findings)
    held = any(not gate.open and not gate.documents for gate in gates)
    seen = None if held else forecast.of(node, facts, draft.actions)
    of_boot = [] if held else _of_boot(node, facts, draft.actions, seen)
    return Plan(
        node=node.name,
        documents=fingerprint(node),
        recipes=node.recipes,
        drifts=tuple(draft.drifts),
        findings=(*findings, *of_boot),
        noops=tuple(draft.noops),
        actions=() if held else reboot.around(draft.actions, node, facts),
        entries=() if held else tuple(draft.entries),
        forgets=() if held else tuple(draft.forgets),
        gates=gates,
        next_boot=seen,
    )


def _of_boot(
    node: wish.NodeWish, facts: model.Facts, actions: Sequence[acts.Action], seen: forecast.Forecast | None
) -> list[model.Finding]:
    given = [want.value for want in node.host.get("kernel_cmdline", ())]
    told = (*later.note(actions, facts, seen, given), *another_kernel.note(actions, facts))
    return [one for one in told if one.id not in node.accept]


def doing(actions: Iterable[acts.Action]) -> frozenset[rule.When]:
    """What of these the rules are about that guard the host."""
    found = {rule.When.ALWAYS}
    for action in actions:
        restores = isinstance(action, acts.RestoreFile) and bool(action.after or action.reboot)
        if restores or isinstance(action, (*acts.FILE_ACTIONS, acts.RunStep, acts.Reboot)):
            found.add(rule.When.HOST)
        if _for_boot(action):
            found.add(rule.When.BOOT)
        if isinstance(action, acts.Reboot):
            found.add(rule.When.REBOOT)
    return frozenset(found)


def _for_boot(action: acts.Action) -> bool:
    match action:
        case acts.RunStep():
            return action.step is not model.Step.SYSCTL
        case acts.RestoreFile():
            return action.reboot
        case _:
            return isinstance(action, acts.Reboot)


def _within_reach(node: wish.NodeWish) -> wish.NodeWish:
    """Without SSH no host setting is made, so that none is judged either."""
    return node if node.access.has_ssh else dataclasses.replace(node, host={})


def fingerprint(node: wish.NodeWish) -> str:
    """Hash of everything the documents want of this node, recipes included; secrets are only named in it. The policy is not part
    of it: it says when something is done, not what."""
    wanted = dataclasses.replace(node, policy=wish.PolicyWish())
    return hashlib.sha256(json.dumps(model.to_json(wanted), sort_keys=True).encode()).hexdigest()


def _findings(parts: Iterable[Part]) -> tuple[model.Finding, ...]:
    return tuple(finding for part in parts for finding in part.draft.findings)


def _removals(node: wish.NodeWish, facts: model.Facts, ledger: Ledger, planned: Sequence[acts.Action]) -> Draft:
    """What nobody needs any more once the ``planned`` actions are done."""
    draft = mapping.removals(node, facts, ledger, planned)
    draft.add(rom.removals(node, facts, ledger, planned))
    return draft


def _reboot(facts: model.Facts, of_host: Draft) -> Draft:
    if not of_host.reboot:
        return Draft()
    if isinstance(facts.boot.boot_id, model.Unknown):
        return Draft(findings=[cannot_read("/proc/sys/kernel/random/boot_id", facts.boot.boot_id.unknown)])
    by_hand = facts.here is not False
    reason = of_host.reboot[0] + (_stops(facts) if by_hand else "")
    return Draft(actions=[acts.Reboot(facts.boot.boot_id, reason, by_hand=by_hand)])


def _stops(facts: model.Facts) -> str:
    """Where nothing empties the node beforehand."""
    states = facts.states if not isinstance(facts.states, model.Unknown) else {}
    running = sorted(vmid for vmid, state in states.items() if state.status == "running")
    return f"; running VMs {', '.join(map(str, running))} are shut down by it" if running else ""


def _leaving(parts: Iterable[Part]) -> dict[int, dict[str, str | None]]:
    """Keys of VMs that go back to what they were, since no document names them any more."""
    return {
        action.vmid: {
            key: value for key, value in action.wanted.items() if f"qemu/{action.vmid}/{key}" in part.draft.forgets
        }
        for part in parts
        for action in part.draft.actions
        if isinstance(action, guest_actions.ChangeGuest)
    }
