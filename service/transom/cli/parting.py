"""Letting go through the daemon: ``release rm cancel``. What goes is shown and asked for before anything is opened."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from transom import errors, model
from transom.cli import carry, client, common, look
from transom.plan import policy, result
from transom.report import plan_text

KINDS = ("release", "remove", "undo", "rom")
"""Operations that can be withdrawn."""
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


@click.command()
@click.argument("name", metavar="DOCUMENT")
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@_dry_run_option
@common.json_option
@common.asks_daemon
@client.given
def release(daemon: client.Client, name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Forget a document and put back what Transom changed for it. A VM stays."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Release {name} by plan {{hash}} on {{node}}?")
    with common.told(as_json=as_json):
        looks = carry.preview_parting(daemon, "release", name)
        if dry_run:
            _dry(looks, name, how)
        plans = [one.plan for one in looks if one.plan]  # a node that is down is let go when it is back
        _show(plans)
        outcomes = _open(daemon, "release", {"name": name}, _agreed(plans, how))
    if not outcomes:
        common.progress(f"{name} is released: nothing on any node was ours")
    carry.finish(outcomes, as_json=as_json)


@click.command()
@click.argument("name", metavar="VM")
@click.option("--confirm", metavar="NAME", help="The VM's name once more, instead of being asked.")
@click.option("-y", "--yes", is_flag=True, help="Approve also a plan that reboots the node.")
@_dry_run_option
@common.json_option
@common.asks_daemon
@client.given
def rm(daemon: client.Client, name: str, confirm: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete a stopped VM that Transom made, WITH ITS DISKS, and forget its document."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Delete {name} by plan {{hash}}, which reboots {{node}}?")
    with common.told(as_json=as_json):
        if confirm is None and not dry_run and not sys.stdin.isatty():
            raise click.UsageError("nobody to ask: standard input is no terminal. Pass --confirm with the VM's name.")
        looks = carry.preview_parting(daemon, "remove", name)
        if dry_run:
            _dry(looks, name, how)
        plans = [one.need() for one in looks]
        _show(plans)
        if confirm is None:
            confirm = str(click.prompt(f"This deletes {name} and its disks. Type its name", err=True))
        how = _agreed([plan for plan in plans if _reboots(plan)], how)
        seen = plans[0].hash if plans else ""
        how = dataclasses.replace(how, shown=seen, approve=seen)
        outcomes = _open(daemon, "remove", {"name": name, "confirm": confirm, "plan": seen}, how)
    carry.finish(outcomes, as_json=as_json)


@click.command()
@click.argument("operation", metavar="OPERATION")
@common.json_option
@common.asks_daemon
@client.given
def cancel(daemon: client.Client, operation: str, as_json: bool) -> None:
    """Withdraw a release, removal or undo that has not begun, or a push of a ROM; `transom status` lists those that are open."""
    with common.told(as_json=as_json):
        said = _withdraw(daemon, operation)
    if as_json:
        common.show_json(said)
    else:
        left = "" if said["kind"] == "rom" else "; nothing was done"
        click.echo(f"operation {operation} is withdrawn: {said['kind']} of {said['target']}{left}")


def way_out(operation: str) -> str:
    """How an open operation ends before it has begun."""
    return f"`transom cancel {operation}` withdraws it"


def _withdraw(daemon: client.Client, operation: str) -> Mapping[str, Any]:
    said: Mapping[str, Any] = daemon.post(f"/v1/operations/{client.quoted(operation)}/cancel")
    return said


def _dry(looks: Sequence[look.Look], name: str, how: carry.How) -> NoReturn:
    if not looks:
        common.progress(f"nothing on any node is ours because of {name}; only the document would go")
    carry.dry(looks, how)


def _show(plans: Sequence[result.Plan]) -> None:
    """Ends with what holds, before anything is opened."""
    for plan in plans:
        click.echo(plan_text.text(plan), nl=False, err=True)
    if any(plan.held for plan in plans):
        common.progress(carry.NOTHING)
        raise SystemExit(common.HELD)


def _agreed(plans: Sequence[result.Plan], how: carry.How) -> carry.How:
    """What is approved; ends here when its user does not say so. Usage when there is nobody to ask."""
    for plan in plans:
        if plan.actions and not common.confirmed(how.question.format(hash=plan.hash, node=plan.node), yes=how.yes):
            common.progress(carry.NOTHING)
            raise SystemExit(0)
        how = dataclasses.replace(how, shown=plan.hash, approve=plan.hash)
    return how


def _reboots(plan: result.Plan) -> bool:
    return model.COST[policy.impact(plan)] >= model.COST[model.Impact.HOST_REBOOT]


def _open(daemon: client.Client, kind: str, body: Mapping[str, str], how: carry.How) -> list[carry.Outcome]:
    """Ask for it and follow it. Where another plan came of it than was agreed to, it is withdrawn."""
    id = daemon.post(f"/v1/{kind}", body)["id"]
    try:
        outcomes = carry.see_through(daemon, id, how)
    except (errors.Void, click.UsageError):
        _withdraw(daemon, id)
        raise
    for outcome in outcomes:
        if outcome.state == "waiting":
            _withdraw(daemon, id)
        elif outcome.state not in carry.CODES:
            goes_on = f"goes on by itself when {outcome.node} can be looked at"
            common.progress(f"operation {id} is open and {goes_on}; {way_out(id)}")
        elif outcome.state == "held":
            common.progress(f"operation {id} is open and goes on when that no longer holds it; {way_out(id)}")
    return outcomes
