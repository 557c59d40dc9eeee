"""``transom lab``: a fleet to try things on, on this machine; works without the daemon."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Sequence

import click

from transom.cli import common
from transom.lab import client, control, shell, world

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=pathlib.Path(".lab"),
    show_default=True,
    help="Where the lab keeps everything.",
)


@click.group()
def lab() -> None:
    """A fleet to try and test against: real SSH, private roots, a PVE API. Never touches a real node."""


@lab.command()
@folder_option
@click.option(
    "--nodes", type=click.IntRange(1, 64), help="How many nodes, pve1 …; by default those of the documents, or one."
)
@click.option("--clusters", type=click.IntRange(1, 64), default=1, show_default=True, help="Over how many clusters.")
@click.option("--vms", type=click.IntRange(0, 90), default=0, show_default=True, help="VMs of others on each node.")
@click.option("--flavour", type=click.Choice(sorted(world.FLAVOURS)), default="seed", show_default=True)
@click.option(
    "--documents",
    "sources",
    multiple=True,
    type=click.Path(exists=True, path_type=pathlib.Path),
    help="Documents to copy so that they point at the lab; may be given again.",
)
@click.option("--detach", is_flag=True, help="Return when the lab is up; `lab down` ends it.")
def up(
    folder: pathlib.Path,
    nodes: int | None,
    clusters: int,
    vms: int,
    flavour: str,
    sources: tuple[pathlib.Path, ...],
    detach: bool,
) -> None:
    """Starts the lab. A folder that holds one already starts it as it was left."""
    # imported here: the other commands talk to a running lab, and start without all of it
    from transom.lab import supervisor

    folder = folder.absolute()
    with common.told():
        if detach:
            client.detach(folder, _without_detach())
            click.echo(client.show(folder, as_json=False))
            return
        machines: int | Sequence[world.LabNode] | None = nodes
        if nodes is None and sources:
            machines = supervisor.machines(sources, flavour)
        supervisor.run(folder, nodes=machines, clusters=clusters, vms=vms, flavour=flavour, sources=sources)


def _without_detach() -> list[str]:
    """The words of this very command, for the process that becomes the lab."""
    at = sys.argv.index("up")
    return [word for word in sys.argv[at + 1 :] if word != "--detach"]


@lab.command()
@folder_option
def down(folder: pathlib.Path) -> None:
    """Stops the lab and keeps its folder."""
    with common.told():
        client.down(folder.absolute())


@lab.command()
@folder_option
@common.json_option
def status(folder: pathlib.Path, as_json: bool) -> None:
    """Shows where everything is."""
    with common.told(as_json=as_json):
        click.echo(client.show(folder.absolute(), as_json=as_json))


@lab.command("break")
@folder_option
@click.argument("kind", required=False)
@click.argument("node", required=False)
def break_(folder: pathlib.Path, kind: str | None, node: str | None) -> None:
    """Breaks NODE in the way KIND; without words it lists the ways."""
    if kind is None:
        from transom.lab import supervisor

        click.echo(supervisor.kinds())
        return
    if node is None:
        raise click.UsageError("which node?")
    with common.told():
        click.echo(control.ask(folder.absolute(), verb="break", kind=kind, node=node))


@lab.command()
@folder_option
@click.argument("what", type=click.Choice(["on", "off", "reboot"]))
@click.argument("node")
def power(folder: pathlib.Path, what: str, node: str) -> None:
    """Switches NODE on or off, or resets it."""
    with common.told():
        click.echo(control.ask(folder.absolute(), verb=what, node=node))


@lab.command()
@folder_option
@click.argument("source", type=click.Path(exists=True, path_type=pathlib.Path))
def stage(folder: pathlib.Path, source: pathlib.Path) -> None:
    """Copies a document, or a folder of them, so that it points at the running lab; prints the copy's path."""
    with common.told():
        click.echo(control.ask(folder.absolute(), verb="stage", source=str(source.absolute())))


@lab.command(context_settings={"ignore_unknown_options": True})
@folder_option
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(folder: pathlib.Path, node: str, command: tuple[str, ...]) -> None:
    """Logs in to NODE as root, or runs COMMAND there: one word is a line of shell, several are a command and its words."""
    with common.told():
        described = control.ask(folder.absolute(), verb="status")
    found = next((one for one in described["nodes"] if one["name"] == node), None)
    if found is None:
        raise click.UsageError(f"the lab has no node {node}")
    key, hosts = pathlib.Path(described["client_key"]), pathlib.Path(described["known_hosts"])
    line = command[0] if len(command) == 1 else shlex.join(command)
    words = shell.argv(found["ssh_port"], key, hosts, line)
    os.execv(words[0], words)


@lab.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def pve(arguments: tuple[str, ...]) -> None:
    """Runs just the PVE API: --root DIR --port N --world FILE --delay SECONDS."""
    os.execv(sys.executable, [sys.executable, "-m", "transom.lab.pve", *arguments])


@lab.command()
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False, path_type=pathlib.Path), default=pathlib.Path(".demo")
)
@click.option("--once", is_flag=True, help="End when it has been shown; otherwise all stays up until Ctrl-C.")
@click.option("--job", is_flag=True, help="The main job on one node instead: apply, break, repair, undo to the byte.")
def demo(folder: pathlib.Path, once: bool, job: bool) -> None:
    """Shows the daemon keeping four nodes in two clusters: converge, repair by policy, refuse, ask, report."""
    # imported here: it starts the whole product
    from transom.lab.demo import job as one_node
    from transom.lab.demo import staying

    def wait() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()

    with common.told():
        if job:
            one_node.run(folder.absolute(), once=once, say=click.echo, wait=wait)
        else:
            staying.run(folder.absolute(), once=once, print_line=click.echo)
