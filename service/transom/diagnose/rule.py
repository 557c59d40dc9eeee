"""The seam of a diagnosis: what it is called, what it looks at, and the three things it may say."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping

from transom import model


class Scope(enum.StrEnum):
    """What a rule judges: the host once, or each of its devices or VMs."""

    NODE = "node"
    DEVICE = "device"
    GUEST = "guest"
    TAKEN = "taken"
    """Every PCI function that goes from the host: the wanted devices, and what else is bound to vfio-pci or given to a VM."""


class When(enum.StrEnum):
    """What a plan does that a rule is about."""

    ALWAYS = "always"
    HOST = "host"
    """It changes files that the host reads, rebuilds what it boots from, or reboots it."""
    BOOT = "boot"
    """It rebuilds what the host boots from, or reboots it: what its files say comes into effect, whoever wrote them."""
    REBOOT = "reboot"


EVERYTHING = frozenset(When)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One diagnosis. ``needs`` names the facts that it reads; ``remedy`` may use the ``{names}`` that ``found`` gives.

    ``when``: judged only for plans that do this. ``unsure``: where not knowing holds, it holds only plans that do this.
    ``holds``: while it stands no action of the VM that is judged is taken, for other scopes none of the node, unless ``found`` says
    otherwise. ``safety``: nor while the rule cannot tell. ``whole``: a plan that does this is held whole, also for one VM.
    """

    id: str
    scope: Scope
    needs: tuple[str, ...]
    who: model.Who
    remedy: str
    holds: bool = False
    safety: bool = False
    when: When = When.ALWAYS
    unsure: When = When.ALWAYS
    whole: When | None = None


@dataclasses.dataclass(frozen=True)
class Clear:
    """Not so."""


@dataclasses.dataclass(frozen=True)
class CannotTell:
    """What the verdict rests on could not be read. ``unsure`` replaces the rule's own when it is not None."""

    reason: str
    unsure: When | None = None


@dataclasses.dataclass(frozen=True)
class Found:
    """It is so. ``holds`` replaces the rule's own when it is not None; ``values`` fill the remedy."""

    summary: str
    evidence: tuple[model.Evidence, ...]
    values: Mapping[str, str]
    holds: bool | None = None


Verdict = Clear | CannotTell | Found


def clear() -> Clear:
    return Clear()


def cannot_tell(reason: str, *, unsure: When | None = None) -> CannotTell:
    return CannotTell(reason, unsure)


def found(summary: str, evidence: Iterable[model.Evidence], *, holds: bool | None = None, **values: str) -> Found:
    """``evidence``: what was read, where. ``values`` fill the remedy's ``{names}``."""
    return Found(summary, tuple(evidence), values, holds)


def finding(
    rule: Rule,
    subject: str,
    verdict: Verdict,
    doing: frozenset[When] = EVERYTHING,
    documents: tuple[str, ...] = (),
) -> model.Finding | None:
    """The finding that a verdict amounts to; a rule that cannot tell is silent unless safety rests on it. ``doing``: what the plan
    does, ``ALWAYS`` included. ``documents``: those of the VM that was judged."""
    alone = () if rule.whole in doing else documents
    match verdict:
        case Found():
            return model.Finding(
                id=rule.id,
                subject=subject,
                summary=verdict.summary,
                remedy=rule.remedy.format_map(verdict.values),
                who=rule.who,
                evidence=verdict.evidence,
                holds=rule.holds if verdict.holds is None else verdict.holds,
                documents=alone,
            )
        case CannotTell() if rule.safety and (verdict.unsure or rule.unsure) in doing:
            return model.Finding(
                id=rule.id,
                subject=subject,
                summary=f"cannot tell: {verdict.reason}",
                remedy="Make it readable for Transom's SSH user and API user (`transom mint` grants rights), then plan again.",
                who=model.Who.REPORT,
                evidence=tuple(model.Evidence(source, "not known") for source in rule.needs),
                holds=True,
                documents=alone,
            )
        case _:
            return None
