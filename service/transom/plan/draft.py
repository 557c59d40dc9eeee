"""What the parts of planning hand each other: collected drifts, findings, no-ops, actions and ledger lines of one topic."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from transom import model
from transom.plan import actions as acts

_LINE = re.compile(r"(?P<path>/[^\s:]+):(?P<line>\d+): (?P<why>.+)")


@dataclasses.dataclass
class Draft:
    """Filled while planning one topic, then laid together; the only mutable thing in here, and it never leaves the package."""

    drifts: list[model.Drift] = dataclasses.field(default_factory=list)
    findings: list[model.Finding] = dataclasses.field(default_factory=list)
    noops: list[model.Noop] = dataclasses.field(default_factory=list)
    actions: list[acts.Action] = dataclasses.field(default_factory=list)
    entries: list[model.Entry] = dataclasses.field(default_factory=list)
    forgets: list[str] = dataclasses.field(default_factory=list)
    reboot: list[str] = dataclasses.field(default_factory=list)
    """Reasons why the node has to be rebooted."""

    def add(self, other: Draft) -> None:
        """Everything of ``other`` after what is here."""
        for field in dataclasses.fields(self):
            getattr(self, field.name).extend(getattr(other, field.name))


@dataclasses.dataclass(frozen=True)
class Part:
    """A draft, and the documents of the VMs for which alone it is made; none of them: it is the node's."""

    draft: Draft
    documents: frozenset[str] = frozenset()

    def about(self) -> Part:
        """The same, with findings that hold only what the part is made for."""
        names = tuple(sorted(self.documents))
        told = [dataclasses.replace(finding, documents=names) for finding in self.draft.findings]
        return dataclasses.replace(self, draft=dataclasses.replace(self.draft, findings=told))


Ledger = Mapping[str, model.Entry]
"""Ledger path → entry, for one node."""


def needs_ssh(subject: str, summary: str, seen: str) -> model.Finding:
    """What the API alone can neither show nor change. It holds nothing: the VMs' own settings do not rest on it."""
    return model.Finding(
        id="needs-ssh",
        subject=subject,
        summary=summary,
        remedy="Grant SSH (ssh in the Cluster and the Node document), or see to it by hand.",
        who=model.Who.REPORT,
        evidence=(model.Evidence("documents", seen),),
    )


def cannot_read(subject: str, reason: str) -> model.Finding:
    """What is not known holds everything that would rest on it. A reason that begins with a line of a file (``shell.Unjudged``) is
    of a file that was read, and says what nobody can tell without running it."""
    if line := _LINE.match(reason):
        return _cannot_judge(line["path"], f"{line['path']}:{line['line']}", line["why"])
    return model.Finding(
        id="cannot-read",
        subject=subject,
        summary=f"{subject} could not be read, so nothing is changed",
        remedy="Make it readable for Transom's SSH user and API user (`transom mint` grants rights), then plan again.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(source=subject, says=reason),),
        holds=True,
    )


def _cannot_judge(path: str, place: str, why: str) -> model.Finding:
    mend = "Write what stands there as plain assignments" if path.startswith("/etc/default/") else "Mend that line"
    return model.Finding(
        id="cannot-judge",
        subject=place,
        summary=f"{place}: {why}; what the next boot would read cannot be told, so nothing is changed",
        remedy=f"{mend}, then plan again.",
        who=model.Who.REPORT,
        evidence=(model.Evidence(source=place, says=why),),
        holds=True,
    )
