"""Which part of a plan a finding holds: one VM's what exists for that VM alone, the node's everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

from transom import model
from transom.plan.draft import Draft, Part
from transom.plan.result import Gate


def merged(findings: Iterable[model.Finding]) -> tuple[model.Finding, ...]:
    """The planner and a rule may see the same thing, and two VMs lack the same: one finding for each id and subject, the first. It
    holds what any of them holds."""
    kept: dict[tuple[str, str], model.Finding] = {}
    for finding in findings:
        first = kept.setdefault((finding.id, finding.subject), finding)
        if first is not finding and first.holds:
            kept[finding.id, finding.subject] = dataclasses.replace(first, documents=_both(first, finding))
    return tuple(kept.values())


def _both(first: model.Finding, second: model.Finding) -> tuple[str, ...]:
    if not second.holds:
        return first.documents
    if not first.documents or not second.documents:
        return ()
    return tuple(dict.fromkeys((*first.documents, *second.documents)))


def widened(findings: Iterable[model.Finding], host: Sequence[model.Drift]) -> tuple[model.Finding, ...]:
    """A VM that is held, and for which settings of the host are to change now, holds the node: the host is not changed or rebooted
    for a VM that has to wait, and other VMs may need the same settings."""
    owners = {drift.document.partition(" (")[0] for drift in host}
    return tuple(
        dataclasses.replace(one, documents=()) if one.holds and owners & set(one.documents) else one for one in findings
    )


def gates(findings: Iterable[model.Finding]) -> tuple[Gate, ...]:
    return tuple(Gate(one.id, False, f"{one.id}: {one.summary}", one.documents) for one in findings if one.holds)


def held(findings: Iterable[model.Finding]) -> frozenset[str]:
    """The documents whose VMs wait."""
    return frozenset(name for one in findings if one.holds for name in one.documents)


def carried_out(parts: Iterable[Part], waiting: Collection[str]) -> Draft:
    """The parts as one draft. Of what exists for ``waiting`` alone nothing is done, and what differs is marked."""
    whole = Draft()
    for part in parts:
        whole.add(_left(part.draft) if part.documents and part.documents <= set(waiting) else part.draft)
    return whole


def _left(draft: Draft) -> Draft:
    drifts = [dataclasses.replace(drift, held=True) for drift in draft.drifts]
    return Draft(drifts=drifts, findings=draft.findings, noops=draft.noops)
