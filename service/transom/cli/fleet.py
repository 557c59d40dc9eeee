"""What only a daemon can tell or do: ``status drift vm approve reject pause resume release rm``."""

from __future__ import annotations

import dataclasses
import datetime
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

import click

from transom.cli import carry, client, common, look, through
from transom.reconcile import backend
from transom.report import drift_text, plan_text

_OPEN = ("waiting", "proposed")
"""Plans that can be approved: those that ask for it, and those of nodes that are only observed."""


_dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


def _asks_daemon(command: click.decorators.FC) -> click.decorators.FC:
    """Options that all of these have."""
    return common.server_option(common.state_option(command))


@click.command()
@common.json_option
@_asks_daemon
@client.given
def status(daemon: client.Client, as_json: bool) -> None:
    """How the daemon and its nodes stand."""
    with common.told(as_json=as_json):
        said, nodes = daemon.get("/v1/status"), daemon.items("/v1/nodes")
        waiting = [plan for state in _OPEN for plan in daemon.items("/v1/plans", state=state)]
    if as_json:
        common.show_json(said | {"server": daemon.url, "waiting": waiting})
        return
    paused, tripped = said["paused"], said["fleet_drift"]
    click.echo(f"daemon at {daemon.url}, fleet {said['fleet']}")
    click.echo(f"paused by {paused['by']} since {_when(paused['at'])}: {paused['reason']}" if paused else "not paused")
    if tripped:
        click.echo(f"HELD: {', '.join(tripped)} newly differ all at once; `transom resume` when that is right")
    for node in nodes:
        click.echo(through.node_line(node))
    for plan in waiting:
        click.echo(f"plan {plan['hash']} is {plan['state']}: {plan['summary']}")
    for node, seconds in said["under_way"].items():
        click.echo(f"at work on {node} for {seconds:.0f} s")


@click.command()
@common.node_option
@click.option("--markdown", is_flag=True, help="As a report.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when anything differs.")
@common.json_option
@_asks_daemon
@client.given
def drift(daemon: client.Client, only: str | None, markdown: bool, detailed_exitcode: bool, as_json: bool) -> None:
    """What differs from the documents now, since when, and why."""
    with common.told(as_json=as_json):
        rows = daemon.items("/v1/drift", node=only or "")
        report = daemon.text("/v1/drift", "text/markdown", node=only or "") if markdown else ""
    if as_json:
        common.show_json(rows)
    elif markdown:
        click.echo(report, nl=False)
    else:
        click.echo(drift_text.text([backend.DriftRow(**row) for row in rows], now=time.time()), nl=False)
    raise SystemExit(common.CHANGES if rows and detailed_exitcode else 0)


@click.group()
def vm() -> None:
    """The VMs that documents declare."""


@vm.command("ls")
@common.json_option
@_asks_daemon
@client.given
def vm_ls(daemon: client.Client, as_json: bool) -> None:
    """List the declared VMs with their state."""
    with common.told(as_json=as_json):
        rows = daemon.items("/v1/vms")
    if as_json:
        common.show_json(rows)
    else:
        click.echo("".join(f"{_vm_line(row)}\n" for row in rows), nl=False)


@vm.command("show")
@click.argument("name", metavar="VM")
@common.json_option
@_asks_daemon
@client.given
def vm_show(daemon: client.Client, name: str, as_json: bool) -> None:
    """Show one declared VM, and what differs of it."""
    with common.told(as_json=as_json):
        row = next((row for row in daemon.items("/v1/vms") if row["name"] == name), None)
        if row is None:
            raise click.UsageError(f"no document declares VM {name!r}; transom vm ls lists them")
        found = daemon.items("/v1/drift", node=row["node"])
    mine = [one for one in found if one["detail"].get("document") == f"VirtualMachine/{name}" or _of_vm(one, row)]
    if as_json:
        common.show_json(row | {"drift": mine})
        return
    click.echo(_vm_line(row))
    click.echo(drift_text.text([backend.DriftRow(**one) for one in mine], now=time.time()), nl=False)


def _of_vm(row: dict[str, object], vm_row: dict[str, object]) -> bool:
    return vm_row["vmid"] is not None and f"qemu/{vm_row['vmid']}" in f"{row['key']}/"


def _vm_line(row: dict[str, object]) -> str:
    vmid = "-" if row["vmid"] is None else row["vmid"]
    return f"{row['name']:16} {vmid!s:>9} {row['node']:16} {row['state']:8} {row['recipe']}"


@click.command()
@click.argument("hash", metavar="PLAN")
@common.json_option
@_asks_daemon
@client.given
def approve(daemon: client.Client, hash: str, as_json: bool) -> None:
    """Let exactly this plan be carried out, once, and follow it. Takes back a rejection of it too."""
    with common.told(as_json=as_json):
        plan = daemon.get(f"/v1/plans/{client.quoted(hash)}")
        carry.show(carry.plan_of(plan), carry.How(as_json=as_json))
        outcome = carry.approve(daemon, plan)
    _finish([outcome], as_json)


@click.command()
@click.argument("hash", metavar="PLAN")
@click.option("--reason", default="", help="Why, for the journal.")
@common.json_option
@_asks_daemon
@client.given
def reject(daemon: client.Client, hash: str, reason: str, as_json: bool) -> None:
    """This plan is not wanted: it is held as long as nothing changes. `transom approve` takes that back."""
    with common.told(as_json=as_json):
        row = daemon.post(f"/v1/plans/{client.quoted(hash)}/reject", {"reason": reason})
    if as_json:
        common.show_json(row)
    else:
        click.echo(f"plan {row['hash']} of {row['node']} is {row['state']}")


@click.command()
@click.option("--reason", default="", help="Why, for those who come later.")
@common.json_option
@_asks_daemon
@client.given
def pause(daemon: client.Client, reason: str, as_json: bool) -> None:
    """No new change starts. A step under way, a confirmation and a rollback still finish."""
    with common.told(as_json=as_json):
        said = daemon.post("/v1/pause", {"reason": reason})
    if as_json:
        common.show_json(said)
    else:
        click.echo(f"paused; at work still: {', '.join(said['under_way']) or 'nothing'}")


@click.command()
@common.json_option
@_asks_daemon
@client.given
def resume(daemon: client.Client, as_json: bool) -> None:
    """Changes may start again; a fleet that differed all at once is believed."""
    with common.told(as_json=as_json):
        said = daemon.post("/v1/resume")
    if as_json:
        common.show_json(said)
    else:
        click.echo("not paused")


@click.command()
@click.argument("name", metavar="DOCUMENT")
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@_dry_run_option
@common.json_option
@_asks_daemon
@client.given
def release(daemon: client.Client, name: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Forget a document and put back what Transom changed for it. A VM stays."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Release {name} by plan {{hash}} on {{node}}?")
    with common.told(as_json=as_json):
        if dry_run:
            _dry(carry.preview_parting(daemon, "release", name), name, how)
        operation = daemon.post("/v1/release", {"name": name})
        outcomes = carry.see_through(daemon, operation["id"], how)
    if not outcomes:
        common.progress(f"{name} is released: nothing on any node was ours")
    _finish(outcomes, as_json)


@click.command()
@click.argument("name", metavar="VM")
@click.option("--confirm", metavar="NAME", help="The VM's name once more, instead of being asked.")
@click.option("-y", "--yes", is_flag=True, help="Approve also a plan that reboots the node.")
@_dry_run_option
@common.json_option
@_asks_daemon
@client.given
def rm(daemon: client.Client, name: str, confirm: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete a stopped VM that Transom made, WITH ITS DISKS, and forget its document."""
    how = carry.How(yes=yes, as_json=as_json, question=f"Delete {name} by plan {{hash}} on {{node}}?")
    with common.told(as_json=as_json):
        if dry_run:
            _dry(carry.preview_parting(daemon, "remove", name), name, how)
        if confirm is None and not sys.stdin.isatty():
            raise click.UsageError("nobody to ask: standard input is no terminal. Pass --confirm with the VM's name.")
        shown = _shown(daemon, name)
        confirm = confirm or click.prompt(f"This deletes {name} and its disks. Type its name", err=True)
        how = dataclasses.replace(how, shown=shown)
        operation = daemon.post("/v1/remove", {"name": name, "confirm": confirm, "plan": shown})
        outcomes = carry.see_through(daemon, operation["id"], how)
    _finish(outcomes, as_json)


def _dry(looks: Sequence[look.Look], name: str, how: carry.How) -> NoReturn:
    if not looks:
        common.progress(f"nothing on any node is ours because of {name}; only the document would go")
    carry.dry(looks, how)


def _shown(daemon: client.Client, name: str) -> str:
    """The hash of the plan that says what goes, once its user has seen it; only that is approved by the name."""
    plans = [one.need() for one in carry.preview_parting(daemon, "remove", name)]
    for plan in plans:
        click.echo(plan_text.text(plan), nl=False, err=True)
        if plan.held:
            raise SystemExit(common.HELD)
    return plans[0].hash if plans else ""


def _finish(outcomes: list[carry.Outcome], as_json: bool) -> None:
    if as_json:
        common.show_json([outcome.data for outcome in outcomes])
    raise SystemExit(max((outcome.code for outcome in outcomes), default=0))


def _when(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
