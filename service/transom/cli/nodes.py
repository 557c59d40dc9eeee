"""``node``: the declared nodes, and what is true of one."""

from __future__ import annotations

import dataclasses
import pathlib

import click

from transom import daemon, errors, model
from transom.cli import common, through
from transom.reconcile import checkup
from transom.report import node_text
from transom.spec import wish


@click.group()
def node() -> None:
    """The nodes."""


@node.command("ls")
@common.json_option
@common.server_option
@common.state_option
def ls(as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """List the declared nodes; with a daemon, also how each stands."""
    if through.nodes(state, server, as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        nodes = service.wishes(())
    if as_json:
        rows = [{"name": n.name, "cluster": n.cluster, "ssh": _ssh(n.access)} for n in nodes]
        common.show_json(rows)
    else:
        click.echo("".join(f"{n.name:16} {n.cluster:16} {_ssh(n.access) or 'no SSH'}\n" for n in nodes), nl=False)


def _ssh(access: wish.Access) -> str:
    """``host:port``; empty for a node without SSH."""
    return f"{access.ssh_host}:{access.ssh_port}" if access.has_ssh else ""


@node.command("show")
@click.argument("name", metavar="NODE")
@common.json_option
@common.server_option
@common.state_option
def show(name: str, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Observe NODE now and show the facts; with a daemon, those of its last look. At the end what it was when it was last good,
    since when, and what of that is another now."""
    if through.facts(state, server, name, as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        wished = service.wish(name)
        facts = service.facts(wished)
        last = service.last_good(wished, facts)
    if as_json:
        common.show_json({**model.to_json(facts), "last_good": model.to_json(last)})
    else:
        click.echo(node_text.text(facts) + node_text.last_good(last), nl=False)


@node.command("check")
@click.argument("name", metavar="[NODE]", required=False)
@common.files_option
@common.json_option
@common.state_option
def check(name: str | None, files: tuple[pathlib.Path, ...], as_json: bool, state: pathlib.Path) -> None:
    """Try every way to NODE (or to all), and whether each right that the documents need is there. Changes nothing.

    Exit code 0 when all is well, 1 when something is missing.
    """
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        nodes = [one for one in service.wishes(files) if name in (None, one.name)]
        if not nodes:
            raise errors.Rejected(f"no document declares node {name!r}" if name else "no document declares a node")
        found = {one.name: service.check(one) for one in nodes}
    if as_json:
        rows = [{"node": node, "well": checkup.well(checks), "checks": list(map(dataclasses.asdict, checks))}
                for node, checks in found.items()]  # fmt: skip
        common.show_json(rows)
    else:
        for node, checks in found.items():
            click.echo(f"{node}:")
            click.echo("".join(f"  {_SIGNS[one.ok]} {one.name:7} {one.text}\n" for one in checks), nl=False)
    raise SystemExit(0 if all(map(checkup.well, found.values())) else 1)


_SIGNS = {True: "✓", False: "✗", None: "·"}
