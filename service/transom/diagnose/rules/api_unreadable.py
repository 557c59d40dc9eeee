"""Without the PVE API neither quorum nor locks nor what runs is known: nothing is written, and other unknowns follow from it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="api-unreadable",
    scope=rule.Scope.NODE,
    needs=("PVE API, version",),
    who=model.Who.REPORT,
    remedy="Check endpoint, pinned fingerprint and token (pveum user token list); a revoked token needs a new secret.",
    holds=True,
)


def judge(host: view.Host) -> rule.Verdict:
    answered, states = host.facts.api, host.facts.states
    if isinstance(answered, model.Unknown):
        return rule.found("the PVE API does not answer Transom", [model.Evidence("PVE API, version", answered.unknown)])
    if isinstance(states, model.Unknown):
        return rule.cannot_tell(f"it answers, but VM states could not be read: {states.unknown}")
    return rule.clear()
