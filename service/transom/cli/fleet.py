"""What only a daemon can tell or do: ``status drift vm approve reject pause resume``."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import time
from typing import Any

import click

from transom import daemon as service
from transom import errors
from transom.api import place
from transom.cli import carry, client, common, parting, through
from transom.reconcile import backend
from transom.report import drift_text

_SHORTEST = 6
"""Digits that name a plan, when no other begins with them."""
_OPEN = ("waiting", "proposed")
"""Plans that can be approved: those that ask for it, and those of nodes that are only observed."""


@click.command()
@common.json_option
@common.asks_daemon
@client.given
def status(daemon: client.Client, as_json: bool) -> None:
    """How the daemon and its nodes stand."""
    with common.told(as_json=as_json):
        said, nodes = daemon.get("/v1/status"), daemon.items("/v1/nodes")
        waiting = [plan for state in _OPEN for plan in daemon.items("/v1/plans", state=state)]
        operations = daemon.items("/v1/operations")
    if as_json:
        common.show_json(said | {"server": daemon.url, "waiting": waiting, "operations": operations})
        return
    paused, tripped = said["paused"], said["fleet_drift"]
    click.echo(f"daemon at {daemon.url}, fleet {said['fleet']}")
    click.echo(_paused(paused) if paused else "not paused")
    if tripped:
        click.echo(f"HELD: {', '.join(tripped)} newly differ all at once; `transom resume` when that is right")
    for node in nodes:
        click.echo(through.node_line(node))
    for plan in waiting:
        click.echo(f"plan {plan['hash']} is {plan['state']}: {plan['summary']}")
    for operation in operations:
        click.echo(_operation_line(operation))
    for node, seconds in said["under_way"].items():
        click.echo(f"at work on {node} for {seconds:.0f} s")


def _paused(pause: dict[str, Any]) -> str:
    return f"paused by {pause['by']} since {_when(pause['at'])}: {pause['reason']}; `transom resume` goes on"


def _operation_line(operation: dict[str, Any]) -> str:
    what = " of ".join(part for part in (operation["kind"], operation["target"]) if part)
    reasons = "; ".join(share["reason"] for share in operation["shares"] if share["reason"])
    said = f"operation {operation['id']} is open: {what}, {operation['state']}{': ' if reasons else ''}{reasons}"
    return f"{said}; {parting.way_out(operation['id'])}" if operation["kind"] in parting.KINDS else said


@click.command()
@common.node_option
@click.option("--markdown", is_flag=True, help="As a report.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when anything differs.")
@common.json_option
@common.asks_daemon
@client.given
def drift(daemon: client.Client, only: str | None, markdown: bool, detailed_exitcode: bool, as_json: bool) -> None:
    """What differs from the documents now, since when, and why."""
    if markdown and as_json:
        raise click.UsageError("--markdown and --json are two forms of one answer: give one of them")
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
@common.asks_daemon
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
@common.asks_daemon
@client.given
def vm_show(daemon: client.Client, name: str, as_json: bool) -> None:
    """Show one declared VM, and what differs of it."""
    with common.told(as_json=as_json):
        row = next((row for row in daemon.items("/v1/vms") if row["name"] == name), None)
        if row is None:
            raise errors.Rejected(f"no document declares VM {name!r}", hint="transom vm ls lists them")
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
@common.asks_daemon
@client.given
def approve(daemon: client.Client, hash: str, as_json: bool) -> None:
    """Let exactly this plan be carried out, once, and follow it. Takes back a rejection of it too."""
    with common.told(as_json=as_json):
        plan = daemon.get(f"/v1/plans/{client.quoted(_whole(daemon, hash))}")
        carry.show(carry.plan_of(plan), carry.How(as_json=as_json))
        outcome = carry.approve(daemon, plan)
    carry.finish([outcome], as_json=as_json)


def _whole(daemon: client.Client, hash: str) -> str:
    """The plan that begins so and can be approved or rejected; as given when there is none. Rejected when there are several."""
    if len(hash) < _SHORTEST:
        return hash
    rows = [row for state in (*_OPEN, "rejected", "failed") for row in daemon.items("/v1/plans", state=state)]
    found = sorted({row["hash"] for row in rows if row["hash"].startswith(hash)})
    if len(found) > 1 and hash not in found:
        raise errors.Rejected(f"several plans begin with {hash}: {', '.join(found)}", hint="give more of the hash")
    return found[0] if len(found) == 1 else hash


@click.command()
@click.argument("hash", metavar="PLAN")
@click.option("--reason", default="", help="Why, for the journal.")
@common.json_option
@common.asks_daemon
@client.given
def reject(daemon: client.Client, hash: str, reason: str, as_json: bool) -> None:
    """This plan is not wanted: it is held as long as nothing changes. `transom approve` takes that back."""
    with common.told(as_json=as_json):
        row = daemon.post(f"/v1/plans/{client.quoted(_whole(daemon, hash))}/reject", {"reason": reason})
    if as_json:
        common.show_json(row)
    else:
        click.echo(f"plan {row['hash']} of {row['node']} is {row['state']}")


@click.command()
@click.option("--reason", default="", help="Why, for those who come later.")
@common.json_option
@common.asks_daemon
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
@click.argument("node", required=False, default="")
@common.json_option
@common.server_option
@common.state_option
def resume(node: str, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Changes may start again; a fleet that differed all at once is believed.

    With NODE, of a node that went back by itself after a reboot: its change may be planned and approved again.
    """
    with common.told(as_json=as_json):
        if node and not server and place.find(state) is None:
            said = _resume_alone(state, node)
        else:
            with contextlib.closing(client.need(state, server)) as found:
                said = found.post(f"/v1/nodes/{client.quoted(node)}/resume" if node else "/v1/resume")
    if as_json:
        common.show_json(said)
    else:
        click.echo(f"{node}: its change is planned again, and waits for an approval" if node else "not paused")


def _resume_alone(state: pathlib.Path, node: str) -> dict[str, str]:
    with service.open_service(state, say=common.progress) as alone:
        return {"name": node, "run": alone.resume(alone.wish(node))}


def _when(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
