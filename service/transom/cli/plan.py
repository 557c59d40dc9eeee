"""``plan``, ``apply``, ``adopt``: what differs, and doing something about it."""

from __future__ import annotations

import dataclasses
import pathlib

import click

from transom import daemon, errors, model
from transom.cli import common, through
from transom.plan import result
from transom.report import plan_text
from transom.spec import wish


@click.command()
@common.files_option
@common.node_option
@click.option("--as-shell", is_flag=True, help="As the commands that a person would type, with the way back.")
@click.option("-v", "--verbose", is_flag=True, help="Also what needs nothing, and why.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@common.json_option
@common.server_option
@common.state_option
def plan(
    files: tuple[pathlib.Path, ...],
    only: str | None,
    as_shell: bool,
    verbose: bool,
    detailed_exitcode: bool,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> None:
    """Show what differs and what would be done. Changes nothing.

    Without -f the documents stored by the last apply are used.
    """
    form = "json" if as_json else "shell" if as_shell else "text"
    through.plan(state, server, files, only or "", form, verbose=verbose, detailed=detailed_exitcode)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        looks = [_look(service, node) for node in _nodes(service, files, only)]
    if as_json:
        common.show_json([as_data(one.plan) if one.plan else {"node": one.node.name, **one.failure} for one in looks])
    else:
        click.echo("\n".join(_shown(one, as_shell=as_shell, verbose=verbose) for one in looks), nl=False)
    raise SystemExit(max(_code(one, detailed=detailed_exitcode) for one in looks))


@dataclasses.dataclass(frozen=True)
class _Look:
    """A node's plan, or why there is none: one node that cannot be reached hides no other."""

    node: wish.NodeWish
    plan: result.Plan | None = None
    error: errors.TransomError | None = None

    @property
    def failure(self) -> dict[str, str]:
        return common.error_data(self.error) if self.error else {}


def _look(service: daemon.Service, node: wish.NodeWish) -> _Look:
    try:
        return _Look(node, service.propose(node))
    except errors.TransomError as error:
        return _Look(node, error=error)


def _shown(one: _Look, *, as_shell: bool, verbose: bool) -> str:
    if one.plan is None:
        return f"{'# ' if as_shell else ''}Node {one.node.name}: {one.error}\n"
    if not as_shell:
        return plan_text.text(one.plan, verbose=verbose)
    access = one.node.access
    copy_to = f"{access.ssh_user}@{access.ssh_host}"
    return plan_text.shell(
        one.plan, copy_to=copy_to, scp=f"scp -P {access.ssh_port}" if access.ssh_port != 22 else "scp"
    )


def _code(one: _Look, *, detailed: bool) -> int:
    if one.plan is None:
        return common.exit_code(one.error)
    if one.plan.held:
        return common.HELD
    return common.CHANGES if detailed and not one.plan.empty else 0


@click.command()
@common.files_option
@common.node_option
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@click.option("--approve", metavar="HASH", help="Approve only this plan; any other is refused.")
@click.option("--dry-run", is_flag=True, help="Stop after showing the plan; nothing is stored either.")
@common.json_option
@common.server_option
@common.state_option
def apply(
    files: tuple[pathlib.Path, ...],
    only: str | None,
    yes: bool,
    approve: str | None,
    dry_run: bool,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> None:
    """Store the documents, show the plan, ask, carry it out, verify it."""
    through.apply(state, server, files, only or "", yes=yes, hash=approve or "", dry_run=dry_run, as_json=as_json)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        if files and not dry_run:
            service.put(files)
        nodes = _nodes(service, files if dry_run else (), only)
        outcomes = [_apply_told(service, node, yes, approve, dry_run, as_json) for node in nodes]
    if as_json:
        common.show_json([outcome for outcome, _ in outcomes])
    raise SystemExit(max((code for _, code in outcomes), default=0))


def _apply_told(
    service: daemon.Service, node: wish.NodeWish, yes: bool, approve: str | None, dry_run: bool, as_json: bool
) -> tuple[dict[str, object], int]:
    """One node of several: what goes wrong with it is said, and the others have their turn."""
    try:
        return _apply_one(service, node, yes, approve, dry_run, as_json)
    except errors.TransomError as error:
        if not as_json:
            click.echo(f"transom: node {node.name}: {error}", err=True)
        return {"node": node.name, **common.error_data(error)}, common.exit_code(error)


def _apply_one(
    service: daemon.Service,
    node: wish.NodeWish,
    yes: bool,
    approve: str | None,
    dry_run: bool,
    as_json: bool,
    *,
    take_over: bool = False,
) -> tuple[dict[str, object], int]:
    if not dry_run:
        service.settle(node)
    proposed = service.propose(node, take_over=take_over)
    if not as_json:
        click.echo(plan_text.text(proposed), nl=False)
    data: dict[str, object] = {"plan": as_data(proposed), "run": None}
    if proposed.held:
        return data, common.HELD
    if dry_run or (proposed.empty and not proposed.forgets):
        return data, 0
    if approve is not None and approve != proposed.hash:
        raise errors.Void(
            f"{node.name}: the plan is {proposed.hash} now, not {approve}", hint="look at it, and approve that one"
        )
    if not common.confirmed(f"Apply plan {proposed.hash} to {node.name}?", yes=yes or approve is not None):
        click.echo("Nothing was changed. The documents are stored: `transom plan` shows this plan again.", err=True)
        return data, 0
    run = service.apply(node, approved=proposed.hash, take_over=take_over)
    common.progress(f"{node.name}: as declared; `transom undo {run}` takes it back")
    return data | {"run": run}, 0


@click.command()
@click.argument("node_name", metavar="NODE")
@click.option("--take-over", is_flag=True, help="Comment out foreign lines that contradict, and take over named VMs.")
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@common.json_option
@common.server_option
@common.state_option
def adopt(node_name: str, take_over: bool, yes: bool, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Let Transom take over what stands against the documents on NODE, with before-image and undo."""
    if not take_over:
        raise click.UsageError(
            "say what to adopt: --take-over comments out contradicting lines and takes over named VMs"
        )
    through.adopt(state, server, node_name, yes=yes, as_json=as_json)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        (node,) = _nodes(service, (), node_name)
        outcome, code = _apply_one(service, node, yes, None, False, as_json, take_over=True)
    if as_json:
        common.show_json(outcome)
    raise SystemExit(code)


def as_data(plan: result.Plan) -> dict[str, object]:
    """A plan as JSON: its own fields with its hash, impact and whether it is empty or held."""
    content: dict[str, object] = model.to_json(plan)
    return content | {
        "hash": plan.hash,
        "impact": plan.impact.value,
        "empty": plan.empty,
        "held": plan.held,
    }


def _nodes(service: daemon.Service, files: tuple[pathlib.Path, ...], only: str | None) -> tuple[wish.NodeWish, ...]:
    nodes = service.wishes(files)
    chosen = tuple(node for node in nodes if only in (None, node.name))
    if only is not None and not chosen:
        known = ", ".join(node.name for node in nodes) or "none"
        raise errors.Rejected(f"no document declares node {only!r}", hint=f"there are: {known}")
    if not chosen:
        raise errors.Rejected("no documents are stored yet", hint="transom apply -f FILE")
    return chosen
