"""Letting go: ``release rm cancel``. What goes is shown and asked for before anything is opened. With a daemon it is an operation,
which goes on by itself when a node is down; without one it is done at once or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import click

from transom import daemon as house
from transom import errors, model
from transom.cli import carry, client, common, look, through
from transom.plan import policy, result
from transom.report import plan_text

KINDS = ("release", "remove", "undo", "rom")
"""Operations that can be withdrawn."""
_STAYS = "A release puts host settings and option ROMs back; VMs stay as they are, with their disks and hardware."
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


class _Way(Protocol):
    """``kind`` is release or remove."""

    def looks(self, kind: str, name: str) -> list[look.Look]:
        """What it would do, for each node that the document has something on."""

    def carry_out(self, kind: str, name: str, confirm: str, how: carry.How) -> list[carry.Outcome]:
        """Do what was shown and agreed to."""

    def cancel(self, operation: str) -> Mapping[str, Any]:
        """Withdraw what is open and has not begun."""


@click.command()
@click.argument("name", metavar="DOCUMENT")
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@_dry_run_option
@common.json_option
@common.server_option
@common.state_option
def release(name: str, yes: bool, dry_run: bool, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Forget a document: host settings and option ROMs that only it needs are put back. VMs stay as they are, with their disks
    and their hardware (also what Transom set of it), and lose only our mark."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Release {name} by plan {{hash}} on {{node}}?")
    with _way(state, server, as_json=as_json) as way:
        looks = way.looks("release", name)
        if looks:
            common.progress(_STAYS)
        if dry_run:
            _dry(looks, name, how)
        plans = [one.plan for one in looks if one.plan]  # a daemon lets go of a node that is down when it is back
        _show(plans)
        outcomes = way.carry_out("release", name, "", _agreed(plans, how))
    if not outcomes:
        common.progress(f"{name} is released: nothing on any node was ours")
    carry.finish(outcomes, as_json=as_json)


@click.command()
@click.argument("name", metavar="VM")
@click.option("--confirm", metavar="NAME", help="The VM's name once more, instead of being asked.")
@click.option("-y", "--yes", is_flag=True, help="Approve also a plan that reboots the node.")
@_dry_run_option
@common.json_option
@common.server_option
@common.state_option
def rm(
    name: str,
    confirm: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> None:
    """Delete a stopped VM that Transom made, WITH ITS DISKS, and forget its document."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Delete {name} by plan {{hash}}, which reboots {{node}}?")
    with _way(state, server, as_json=as_json) as way:
        looks = way.looks("remove", name)
        if dry_run:
            _dry(looks, name, how)
        if confirm is None and not sys.stdin.isatty():
            raise click.UsageError("nobody to ask: standard input is no terminal. Pass --confirm with the VM's name.")
        plans = [one.need() for one in looks]
        _show(plans)
        if confirm is None:
            confirm = str(click.prompt(f"This deletes {name} and its disks. Type its name", err=True))
        how = _agreed([plan for plan in plans if _reboots(plan)], how)
        seen = plans[0].hash if plans else ""
        outcomes = way.carry_out("remove", name, confirm, dataclasses.replace(how, shown=seen, approve=seen))
    carry.finish(outcomes, as_json=as_json)


@click.command()
@click.argument("operation", metavar="OPERATION")
@common.json_option
@common.server_option
@common.state_option
def cancel(operation: str, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Withdraw a release, removal or undo that has not begun, or a push of a ROM; `transom status` lists those that are open."""
    with _way(state, server, as_json=as_json) as way:
        said = way.cancel(operation)
    if as_json:
        common.show_json(said)
    else:
        left = "" if said["kind"] == "rom" else "; nothing was done"
        click.echo(f"operation {operation} is withdrawn: {said['kind']} of {said['target']}{left}")


def way_out(operation: str) -> str:
    """How an open operation ends before it has begun."""
    return f"`transom cancel {operation}` withdraws it"


@contextlib.contextmanager
def _way(state: pathlib.Path, server: str | None, *, as_json: bool) -> Iterator[_Way]:
    with through.found(state, server, as_json=as_json) as daemon:
        if daemon is not None:
            yield _ByDaemon(daemon)
            return
        with house.open_service(state, say=common.progress) as service:
            yield _Alone(service)


@dataclasses.dataclass(frozen=True)
class _ByDaemon:
    """An operation of the daemon, followed. Where another plan came of it than was agreed to, it is withdrawn."""

    daemon: client.Client

    def looks(self, kind: str, name: str) -> list[look.Look]:
        return carry.preview_parting(self.daemon, kind, name)

    def carry_out(self, kind: str, name: str, confirm: str, how: carry.How) -> list[carry.Outcome]:
        body = {"name": name} if kind == "release" else {"name": name, "confirm": confirm, "plan": how.shown}
        id = self.daemon.post(f"/v1/{kind}", body)["id"]
        try:
            outcomes = carry.see_through(self.daemon, id, how)
        except (errors.Void, click.UsageError):
            self.cancel(id)
            raise
        for outcome in outcomes:
            self._tell(id, outcome)
        # What is let go is gone, whatever other VMs wait with.
        return [dataclasses.replace(one, code=carry.CODES.get(one.state, one.code)) for one in outcomes]

    def _tell(self, id: str, outcome: carry.Outcome) -> None:
        if outcome.state == "waiting":
            self.cancel(id)
        elif outcome.state not in carry.CODES:
            goes_on = f"goes on by itself when {outcome.node} can be looked at"
            common.progress(f"operation {id} is open and {goes_on}; {way_out(id)}")
        elif outcome.state == "held":
            common.progress(f"operation {id} is open and goes on when that no longer holds it; {way_out(id)}")

    def cancel(self, operation: str) -> Mapping[str, Any]:
        said: Mapping[str, Any] = self.daemon.post(f"/v1/operations/{client.quoted(operation)}/cancel")
        return said


@dataclasses.dataclass
class _Alone:
    """Done here and now. The plan that was looked at is the only one that is carried out."""

    service: house.Service
    looked: list[result.Plan] = dataclasses.field(default_factory=list)

    def looks(self, kind: str, name: str) -> list[look.Look]:
        plan = self.service.letting.propose(kind, name)
        self.looked = [plan] if plan else []
        return [look.Look(plan.node, plan) for plan in self.looked]

    def carry_out(self, kind: str, name: str, confirm: str, how: carry.How) -> list[carry.Outcome]:
        if kind == "remove" and confirm != name.rpartition("/")[2]:
            raise errors.Rejected(f"the name to confirm is {name.rpartition('/')[2]!r}, not {confirm!r}")
        run = self.service.letting.carry_out(kind, name, how.shown)
        for plan in self.looked:
            common.progress(f"{plan.node}: done: {f'run {run}' if run else 'nothing on the node was ours'}")
        return [
            carry.Outcome(plan.node, "done", f"run {run}" if run else "", plan_text.as_data(plan), run or None, 0)
            for plan in self.looked
        ]

    def cancel(self, operation: str) -> Mapping[str, Any]:
        return dataclasses.asdict(self.service.cancel(operation))


def _dry(looks: Sequence[look.Look], name: str, how: carry.How) -> NoReturn:
    if not looks:
        common.progress(f"nothing on any node is ours because of {name}; only the document would go")
    carry.dry(looks, how)


def _show(plans: Sequence[result.Plan]) -> None:
    """Ends with what holds, before anything is opened."""
    for plan in plans:
        click.echo(plan_text.text(plan), nl=False, err=True)
    if any(plan.held_whole for plan in plans):
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
