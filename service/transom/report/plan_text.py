"""How a plan reads: as a diff for people, and as the shell commands that a person would type, with their undo."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from transom import model
from transom.plan import actions as acts
from transom.plan import forecast, once, rehearsal, result
from transom.report import short


def as_data(plan: result.Plan, tried: rehearsal.Tried | None = None) -> dict[str, Any]:
    """A plan as JSON: its own fields with its hash, impact, whether it is empty or held, what holds single VMs, and what came of
    trying it aside, where it was."""
    content: dict[str, Any] = model.to_json(plan)
    waits = {"held_documents": {name: list(why) for name, why in plan.waits.items()}}
    simulated = {"simulated": model.to_json(tried)} if tried else {}
    return (
        content
        | {"hash": plan.hash, "impact": plan.impact.value, "empty": plan.empty, "held": plan.held}
        | waits
        | simulated
    )


def text(plan: result.Plan, tried: rehearsal.Tried | None = None, *, verbose: bool = False) -> str:
    """The plan for a terminal, without colour; ends with a newline."""
    lines = [f"Node {plan.node}: {_headline(plan)}"]
    lines += _section("Findings", _findings(plan.findings))
    lines += _section("Differences", _drifts(plan.drifts))
    lines += _section("Actions, in this order", _actions(plan.actions))
    lines += _section("After the next boot", _forecast(plan.next_boot))
    lines += _section("Tried aside on the node, changing nothing", _tried(tried))
    if verbose:
        lines += _section("Nothing to do", (f"  = {noop.path}: {noop.reason}" for noop in plan.noops))
    elif plan.noops:
        lines.append(f"  ({len(plan.noops)} settings need nothing; -v lists them with the reason)")
    if not plan.empty:
        lines.append(f"  Plan {plan.hash}, impact {plan.impact}")
    return "\n".join(lines) + "\n"


def shell(plan: result.Plan, *, copy_to: str = "root@NODE", scp: str = "scp") -> str:
    """A script that does by hand what the plan does, and below it, commented out, the way back.

    In parts, for nothing runs on across a reboot. ``copy_to`` is the SSH target and ``scp`` the command for files to be sent.
    """
    if not plan.actions:
        return f"# Node {plan.node}: {_headline(plan)}\n"
    roms = [action for action in plan.actions if isinstance(action, acts.PlaceRom)]
    out = [f"# Node {plan.node}, plan {plan.hash}."]
    out += [f"# Nothing is done for {name}: {reason}" for name, why in plan.waits.items() for reason in why]
    for rom in roms:
        out += [
            "# First, from your own machine:",
            f"#   {scp} {shlex.quote(rom.source)} {copy_to}:{shlex.quote(rom.path)}",
        ]
    parts = _parts(plan.actions)
    for number, part in enumerate(parts, 1):
        after = " once it is back" if number > 1 else ""
        out += [f"\n# --- Part {number} of {len(parts)}: as root on the node{after}", "set -e"]
        before = parts[number - 2][-1] if number > 1 else None
        if isinstance(before, once.TryBoot):
            out += [
                "\n# Is the trial boot as it should be? If not: sh /var/lib/transom/trial/end; reboot",
                *before.afterwards(),
            ]
        for action in part:
            out += [f"\n# {action.describe()}", *action.shell()]
    out.append("\n# --- The way back, from the last change to the first, then what is built from the files:")
    for action in _way_back(plan.actions):
        out += [f"# {line}" for command in action.undo_shell() for line in command.splitlines()]
    return "\n".join(out) + "\n"


def _parts(actions: tuple[acts.Action, ...]) -> list[list[acts.Action]]:
    """The actions up to each reboot, the reboot included."""
    parts: list[list[acts.Action]] = [[]]
    for action in actions:
        parts[-1].append(action)
        if isinstance(action, acts.Reboot | once.TryBoot):
            parts.append([])
    return [part for part in parts if part]


def _way_back(actions: tuple[acts.Action, ...]) -> list[acts.Action]:
    """Changes undone in reverse; rebuilds and the reboot after them, in their own order, for they read what was put back."""
    later = (acts.RunStep, acts.Reboot)
    changes = [action for action in actions if not isinstance(action, later)]
    return [*reversed(changes), *(action for action in actions if isinstance(action, later))]


def _headline(plan: result.Plan) -> str:
    return result.summary(plan).partition(": ")[2]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    rows = list(lines)
    return [f"  {title}:", *rows] if rows else []


def _findings(findings: tuple[model.Finding, ...]) -> Iterator[str]:
    for finding in findings:
        alone = f" {', '.join(finding.documents)}" if finding.holds else ""
        yield f"    {'HOLDS' if finding.holds else 'note '}{alone.rstrip()} [{finding.id}] {finding.subject}: {finding.summary}"
        for evidence in finding.evidence:
            yield f"            {evidence.source}: {evidence.says}"
        yield f"          → {finding.remedy}"


def _drifts(drifts: tuple[model.Drift, ...]) -> Iterator[str]:
    for drift in drifts:
        sign = "+" if drift.observed is None else "-" if drift.desired is None else "~"
        old, new = short.pair(drift.observed, drift.desired)
        change = {"+": new, "-": old, "~": f"{old} → {new}"}[sign]
        why = f"  ({drift.why})" if drift.why else ""
        held = ", held" if drift.held else ""
        yield f"    {sign} {drift.path}: {change}  [{drift.level}, {drift.impact}{held}]{why}"


def _actions(actions: tuple[acts.Action, ...]) -> Iterator[str]:
    for number, action in enumerate(actions, 1):
        yield f"    {number}. {action.describe()}"
        if isinstance(action, acts.WriteFile):
            yield from (f"         {line}" for line in _diff(action.before, action.text))
        elif isinstance(action, acts.RestoreFile):
            yield from (f"         {line}" for line in _diff(action.now, action.before))


def _forecast(seen: forecast.Forecast | None) -> Iterator[str]:
    if seen is None:
        return
    line = seen.cmdline
    told = f"not known: {line.unknown}" if isinstance(line, model.Unknown) else " ".join(line)
    yield f"    kernel command line: {told}"
    if differs := [f"+ {token}" for token in seen.new] + [f"- {token}" for token in seen.gone]:
        yield f"      against the running kernel's: {', '.join(differs)}"
    for one in seen.owners:
        yield f"    {one.device} ({one.address}): {_driver(one.now)} → {_driver(one.then)}  ({one.why})"


def _tried(tried: rehearsal.Tried | None) -> Iterator[str]:
    if tried is None:
        return
    sign = {True: "✓", False: "✗", None: "·"}[tried.ok]
    yield from (f"    {sign} {line}" for line in tried.said)
    if tried.cmdline:
        yield f"    kernel command line, as the node's tools make it: {' '.join(tried.cmdline)}"


def _driver(name: model.Maybe[str]) -> str:
    return name.unknown if isinstance(name, model.Unknown) else name or "no driver"


def _diff(before: str | None, after: str | None) -> Iterator[str]:
    old, new = (before or "").splitlines(), (after or "").splitlines()
    for line in difflib.unified_diff(old, new, lineterm="", n=1):
        if not line.startswith(("---", "+++", "@@")):
            yield line
