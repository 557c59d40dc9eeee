"""``run`` and ``undo``: what was done, and taking it back."""

from __future__ import annotations

import json
import pathlib

import click

from transom import daemon
from transom.cli import common, through
from transom.report import plan_text, run_text


@click.group()
def run() -> None:
    """What was done to the nodes."""


@run.command("ls")
@common.node_option
@common.json_option
@common.server_option
@common.state_option
def ls(only: str | None, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """List runs, newest first."""
    if through.runs(state, server, only or "", as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        rows = service.runs(only)
        if only and not rows:
            service.wish(only)
    if as_json:
        common.show_json([run_text.as_data(row) for row in rows])
    else:
        click.echo(run_text.table(rows), nl=False)


@run.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--card", is_flag=True, help="Only the rescue card, for the console of a node that does not come back.")
@common.json_option
@common.server_option
@common.state_option
def show(run_id: str, card: bool, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Show one run with every step of its journal."""
    if through.run(state, server, run_id, card=card, as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        row, events = service.run(run_id)
        text = run_text.card(row, events) if card else ""
    if card:
        click.echo(text, nl=False)
    elif as_json:
        common.show_json(run_text.as_data(row) | {"events": [run_text.event_data(event) for event in events]})
    else:
        click.echo(run_text.journal(row, events), nl=False)


@run.command("logs")
@click.argument("run_id", metavar="RUN")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@common.json_option
@common.server_option
@common.state_option
def logs(run_id: str, follow: bool, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Show the journal of RUN, a line a step; with --json an object a line."""
    if through.logs(state, server, run_id, follow=follow, as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        lines = [run_text.event_data(event) for event in service.run(run_id)[1]]
    for line in lines:
        click.echo(json.dumps(line, ensure_ascii=False) if as_json else run_text.line(line))


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("-y", "--yes", is_flag=True, help="Approve exactly the plan that is shown.")
@click.option("--dry-run", is_flag=True, help="Stop after showing the plan.")
@click.option("--as-shell", is_flag=True, help="Only show the commands that a person would type, with the way back.")
@common.json_option
@common.server_option
@common.state_option
def undo(
    run_id: str, yes: bool, dry_run: bool, as_shell: bool, as_json: bool, server: str | None, state: pathlib.Path
) -> None:
    """Put back every file that RUN changed, to the byte. Never deletes a disk."""
    through.undo(state, server, run_id, yes=yes, dry_run=dry_run, as_shell=as_shell, as_json=as_json)
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        proposed = service.propose_undo(run_id)
        if not as_json:
            click.echo(plan_text.shell(proposed) if as_shell else plan_text.text(proposed), nl=False)
        data: dict[str, object] = {"plan": plan_text.as_data(proposed), "run": None}
        code = common.HELD if proposed.held else 0
        if not proposed.held and not dry_run and not as_shell:
            if common.confirmed(f"Undo {run_id} on {proposed.node}?", yes=yes):
                data["run"] = service.undo(run_id, approved=proposed.hash)
                common.progress(f"{proposed.node}: {run_id} is undone; its documents still declare it")
            else:
                click.echo("Nothing was changed.", err=True)
    if as_json:
        common.show_json(data)
    raise SystemExit(code)
