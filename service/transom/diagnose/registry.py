"""Walks the rules and judges every subject of each."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from transom import model
from transom.diagnose import rule as seam
from transom.diagnose import rules, taken, view
from transom.spec import wish


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """A rule with its judge, which takes the subject that ``rule.scope`` names."""

    rule: seam.Rule
    judge: Callable[[Any], seam.Verdict]


def _diagnoses() -> tuple[Diagnosis, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(rules.__path__))
    modules = [importlib.import_module(f"{rules.__name__}.{name}") for name in names]
    return tuple(Diagnosis(module.RULE, module.judge) for module in modules if hasattr(module, "RULE"))


DIAGNOSES: tuple[Diagnosis, ...] = _diagnoses()


@dataclasses.dataclass(frozen=True)
class Judged:
    """What one rule says of one subject. ``documents``: of a VM, the one that declares it."""

    rule: seam.Rule
    subject: str
    verdict: seam.Verdict
    documents: tuple[str, ...] = ()

    def finding(self, doing: frozenset[seam.When]) -> model.Finding | None:
        return seam.finding(self.rule, self.subject, self.verdict, doing, self.documents)


def verdicts(host: view.Host, doing: frozenset[seam.When] = seam.EVERYTHING) -> tuple[Judged, ...]:
    """Every rule that is about what is done, on every one of its subjects, the clear ones included."""
    return tuple(
        Judged(one.rule, subject.subject, one.judge(subject), _documents(subject))
        for one in DIAGNOSES
        if one.rule.when in doing
        for subject in _subjects(one, host)
    )


def run(
    facts: model.Facts,
    node: wish.NodeWish,
    leaving: view.Leaving | None = None,
    doing: frozenset[seam.When] = seam.EVERYTHING,
    then: model.Facts | None = None,
) -> tuple[model.Finding, ...]:
    """The findings of all rules, in the order of their ids.

    ``doing``: what the plan does. What the Node's document accepts is not told, unless it holds.
    ``leaving``: the keys of VMs that the plan gives back, which are judged as they will be (``view.Leaving``).
    ``then``: the facts with the files as the plan leaves them.
    """
    judged = verdicts(view.Host(facts, node, leaving or {}, then), doing)
    findings = (one.finding(doing) for one in judged)
    told = (one for one in findings if one and (one.holds or one.id not in node.accept))
    return tuple(sorted(told, key=lambda one: (one.id, one.subject)))


def guards(
    facts: model.Facts, node: wish.NodeWish, doing: frozenset[seam.When], then: model.Facts | None = None
) -> tuple[model.Finding, ...]:
    """What of the host as it stands, whatever is wanted of it, is against changing or rebooting it: for the way back from a run."""
    bare = dataclasses.replace(node, host={}, guests=(), devices={})
    judged = verdicts(view.Host(facts, bare, then=then), doing - {seam.When.ALWAYS})
    findings = (one.finding(doing) for one in judged)
    return tuple(sorted((one for one in findings if one), key=lambda one: one.id))


Subject = view.Host | view.Device | view.Guest | taken.Taken


def _documents(subject: Subject) -> tuple[str, ...]:
    return (subject.wish.document,) if isinstance(subject, view.Guest) else ()


def _subjects(one: Diagnosis, host: view.Host) -> Iterable[Subject]:
    match one.rule.scope:
        case seam.Scope.NODE:
            return (host,)
        case seam.Scope.DEVICE:
            return host.devices
        case seam.Scope.GUEST:
            return host.guests
        case seam.Scope.TAKEN:
            return taken.of(host)
