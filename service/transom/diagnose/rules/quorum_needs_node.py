"""While this node is down for its reboot the cluster would not be quorate: nothing could be started or changed anywhere in it."""

from __future__ import annotations

from transom import model
from transom.diagnose import rule, view

RULE = rule.Rule(
    id="quorum-needs-node",
    scope=rule.Scope.NODE,
    needs=("corosync-quorumtool -s",),
    who=model.Who.REFUSE,
    remedy="Bring the missing nodes back first; with two nodes, add a QDevice (`pvecm qdevice setup`).",
    holds=True,
    safety=True,
    when=rule.When.REBOOT,
)


def judge(host: view.Host) -> rule.Verdict:
    votes = host.facts.standing.votes
    if isinstance(votes, model.Unknown):
        return rule.cannot_tell(f"votes: {votes.unknown}")
    if votes is None or votes.total - votes.own >= votes.quorum:
        return rule.clear()
    return rule.found(
        f"without this node {votes.total - votes.own} votes are left, and quorum needs {votes.quorum}",
        [
            model.Evidence(
                "corosync-quorumtool -s", f"total {votes.total}, quorum {votes.quorum}, this node {votes.own}"
            )
        ],
    )
