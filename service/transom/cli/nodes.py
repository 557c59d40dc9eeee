"""``node``: the declared nodes, and what is true of one."""

from __future__ import annotations

import pathlib

import click

from transom import daemon, model
from transom.cli import common, through
from transom.report import node_text


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
        rows = [
            {"name": n.name, "cluster": n.cluster, "ssh": f"{n.access.ssh_host}:{n.access.ssh_port}"} for n in nodes
        ]
        common.show_json(rows)
    else:
        click.echo(
            "".join(f"{n.name:16} {n.cluster:16} {n.access.ssh_host}:{n.access.ssh_port}\n" for n in nodes), nl=False
        )


@node.command("show")
@click.argument("name", metavar="NODE")
@common.json_option
@common.server_option
@common.state_option
def show(name: str, as_json: bool, server: str | None, state: pathlib.Path) -> None:
    """Observe NODE now and show the facts; with a daemon, those of its last look."""
    if through.facts(state, server, name, as_json=as_json):
        return
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        facts = service.facts(service.wish(name))
    if as_json:
        common.show_json(model.to_json(facts))
    else:
        click.echo(node_text.text(facts), nl=False)
