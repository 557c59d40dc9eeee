"""``plan``, ``apply``, ``adopt``: what differs, and doing something about it."""

from __future__ import annotations

import pathlib
import re
from typing import NoReturn

import click

from transom import daemon, errors
from transom.cli import common, look, policies, through
from transom.report import plan_text
from transom.spec import wish

_HASH = re.compile(r"[0-9a-f]+")


@click.command()
@common.files_option
@common.node_option
@click.option("--as-shell", is_flag=True, help="As the commands that a person would type, with the way back.")
@click.option("--simulate", is_flag=True, help="Also let each node's own tools try the plan aside.")
@click.option("-v", "--verbose", is_flag=True, help="Also what needs nothing, and why.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@common.json_option
@common.server_option
@common.state_option
def plan(
    files: tuple[pathlib.Path, ...],
    only: str | None,
    as_shell: bool,
    simulate: bool,
    verbose: bool,
    detailed_exitcode: bool,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> None:
    """Show what differs and what would be done. Changes nothing.

    Without -f the documents stored by the last apply are used.

    With --simulate the first step of `apply` is done as well: grub-mkconfig, modprobe and mkinitramfs (a minute or more) work on
    the new files where they alone see them, and what comes of it is compared with the plan. It writes to a temporary folder on
    the node, which is removed, and to nothing else; exit code 1 when it fails.
    """
    if simulate and as_shell:
        raise click.UsageError("--as-shell prints the commands that --simulate runs: give one of them")
    form = "json" if as_json else "shell" if as_shell else "text"
    through.plan(state, server, files, only or "", form, verbose=verbose, detailed=detailed_exitcode, simulate=simulate)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        nodes = _nodes(service, files, only)
        looks = [_look(service, node, simulate=simulate) for node in nodes]
    if as_json:
        common.show_json([one.data for one in looks])
    elif as_shell:
        click.echo("\n".join(_shell(one, node.access) for one, node in zip(looks, nodes, strict=True)), nl=False)
    else:
        click.echo("\n".join(one.text(verbose=verbose) for one in looks), nl=False)
    raise SystemExit(max(one.code(detailed=detailed_exitcode) for one in looks))


def _look(service: daemon.Service, node: wish.NodeWish, *, simulate: bool) -> look.Look:
    try:
        if not simulate:
            return look.Look(node.name, service.propose(node))
        plan, tried = service.simulate(node)
        return look.Look(node.name, plan, tried=tried)
    except errors.TransomError as error:
        return look.Look(node.name, error=error)


def _shell(one: look.Look, access: wish.Access) -> str:
    scp = f"scp -P {access.ssh_port}" if access.ssh_port != 22 else "scp"
    return one.shell(copy_to=f"{access.ssh_user}@{access.ssh_host}", scp=scp)


def _hash(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _HASH.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a plan hash: `transom plan` ends with it", context, option)
    return value


@click.command()
@common.files_option
@common.node_option
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@click.option("--approve", metavar="HASH", callback=_hash, help="Approve only this plan; any other is refused.")
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
            if policies.brought(files):
                policies.ask(service.wishes(), service.wishes(files), yes=yes)
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
    data: dict[str, object] = {"plan": plan_text.as_data(proposed), "run": None}
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
    asked_at = service.since if yes else None  # one yes for all nodes was said before the first of them was changed
    run = service.apply(node, approved=proposed.hash, take_over=take_over, approved_at=asked_at)
    back = f"`transom undo {run}` takes it back"
    if waits := ", ".join(proposed.waits):
        common.progress(f"{node.name}: as declared but for {waits}, which is held; {back}")
        return data | {"run": run}, common.HELD
    common.progress(f"{node.name}: as declared; {back}")
    return data | {"run": run}, 0


@click.command()
@click.argument("place", metavar="CLUSTER|NODE|VMID")
@click.option("--take-over", is_flag=True, help="Comment out foreign lines that contradict, and take over named VMs.")
@click.option(
    "-o", "--output", type=click.Path(path_type=pathlib.Path), help="Write what exists there to this new file."
)
@common.files_option
@common.node_option
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@common.json_option
@common.server_option
@common.state_option
def adopt(
    place: str,
    take_over: bool,
    output: pathlib.Path | None,
    files: tuple[pathlib.Path, ...],
    only: str | None,
    yes: bool,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> None:
    """Make what exists Transom's: as documents, or against them.

    With -o FILE: write documents of a cluster, a node or one VM as they are, passthrough made by hand included, so that the next
    plan is empty. Changes nothing. With --take-over: let Transom take over what stands against the documents on NODE, with
    before-image and undo.
    """
    if take_over == (output is not None):
        raise click.UsageError(
            "say what to adopt: -o FILE writes what exists as documents; --take-over comments out contradicting lines "
            "and takes over named VMs"
        )
    if output is not None:
        _write_down(place, output, files, only, as_json=as_json, server=server, state=state)
    if files or only:
        raise click.UsageError("-f and --node go with -o; --take-over works with the stored documents of NODE")
    through.adopt(state, server, place, yes=yes, as_json=as_json)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        (node,) = _nodes(service, (), place)
        outcome, code = _apply_one(service, node, yes, None, False, as_json, take_over=True)
    if as_json:
        common.show_json(outcome)
    raise SystemExit(code)


def _write_down(
    place: str,
    output: pathlib.Path,
    files: tuple[pathlib.Path, ...],
    only: str | None,
    *,
    as_json: bool,
    server: str | None,
    state: pathlib.Path,
) -> NoReturn:
    if server:
        raise click.UsageError("-o looks at the nodes itself and writes here: it does not go with --server")
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        done = service.adopt(place, files, output, only=only)
    written = [str(output), *(str(output.parent / name) for name in sorted(done.roms))]
    if as_json:
        failures = {name: common.error_data(error) for name, error in done.failed}
        common.show_json({"written": written, "said": done.said, "rest": done.rest, "failed": failures})
    else:
        click.echo("\n".join([*done.said, *(f"written: {path}" for path in written)]))
        for line in [
            *(f"not empty yet: {one}" for one in done.rest),
            *(f"{name}: {error}" for name, error in done.failed),
        ]:
            common.progress(line)
    raise SystemExit(common.exit_code(done.failed[0][1]) if done.failed else common.HELD if done.rest else 0)


def _nodes(service: daemon.Service, files: tuple[pathlib.Path, ...], only: str | None) -> tuple[wish.NodeWish, ...]:
    nodes = service.wishes(files)
    chosen = tuple(node for node in nodes if only in (None, node.name))
    if only is not None and not chosen:
        known = ", ".join(node.name for node in nodes) or "none"
        raise errors.Rejected(f"no document declares node {only!r}", hint=f"there are: {known}")
    if not chosen:
        raise errors.Rejected("no documents are stored yet", hint="transom apply -f FILE")
    return chosen
