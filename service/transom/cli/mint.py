"""``mint``: the commands that make a token which may do what the documents need, and nothing else."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import click

from transom import daemon, errors
from transom.cli import common
from transom.host import versions
from transom.plan import mint as minting
from transom.plan import rights
from transom.spec import wish


@click.command()
@click.argument("cluster", required=False)
@common.files_option
@click.option("--pve-version", metavar="X.Y", help="Of the cluster; by default it is asked.")
@click.option("--agent", is_flag=True, help="Also the right to ask guest agents.")
@common.json_option
@common.state_option
def mint(
    cluster: str | None,
    files: tuple[pathlib.Path, ...],
    pve_version: str | None,
    agent: bool,
    as_json: bool,
    state: pathlib.Path,
) -> None:
    """Print the pveum commands that grant the user or token of CLUSTER (or of each) what its documents need. Runs none of them."""
    with common.told(as_json=as_json), daemon.open_service(state, say=common.progress) as service:
        nodes = service.wishes(files)
        names = [name for name in dict.fromkeys(one.cluster for one in nodes) if cluster in (None, name)]
        if not names:
            raise errors.Rejected(f"no node of cluster {cluster!r} is declared" if cluster else "no node is declared")
        made = [_cluster(service, name, [one for one in nodes if one.cluster == name], pve_version, agent)
                for name in names]  # fmt: skip
    if as_json:
        common.show_json([_data(one) for one in made])
    else:
        click.echo("\n".join(_text(one) for one in made), nl=False)


@dataclasses.dataclass(frozen=True)
class _Made:
    cluster: str
    who: str
    version: str
    grants: tuple[minting.Grant, ...]
    root_only: dict[str, tuple[str, ...]]

    @property
    def commands(self) -> tuple[str, ...]:
        """None for root, who may do everything."""
        return () if self.who == minting.ROOT else minting.commands(self.grants, self.who)


def _cluster(
    service: daemon.Service, name: str, nodes: Sequence[wish.NodeWish], asked: str | None, agent: bool
) -> _Made:
    access = nodes[0].access
    version = _version(asked) if asked else _ask(service, nodes[0])
    who = access.token_id or (access.ticket.user if access.ticket else "")
    grants = minting.grants(rights.needs(nodes, version, agent=agent))
    return _Made(name, who, version, grants, {} if access.has_root else rights.root_only(nodes))


def _version(text: str) -> str:
    try:
        known = versions.matches(text, f">={rights.OLDEST}")
    except ValueError:
        known = False
    if not known:
        raise click.UsageError(f"--pve-version {text!r} is no version from {rights.OLDEST} on, such as 8.4")
    return text


def _ask(service: daemon.Service, node: wish.NodeWish) -> str:
    """The cluster's version; without a login yet, that is what has to be made first, the latest names are used."""
    try:
        return service.pve_version(node)
    except errors.TransomError as error:
        common.progress(f"{node.cluster}: its version cannot be asked ({error})")
        common.progress(f"written for Proxmox VE {rights.LATEST}; --pve-version X.Y says which it is")
        return rights.LATEST


def _data(made: _Made) -> dict[str, object]:
    return {**dataclasses.asdict(made), "commands": list(made.commands)}


def _text(made: _Made) -> str:
    lines = [f"# cluster {made.cluster}, Proxmox VE {made.version}: for {made.who}", *made.commands]
    if not made.commands:
        lines.append(f"# {made.who} needs no rights")
    for document, keys in made.root_only.items():
        lines.append(f"# no right helps with {', '.join(keys)} of {document}: root over SSH or api.ticket of root@pam")
    return "".join(f"{line}\n" for line in lines)
