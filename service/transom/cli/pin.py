"""``pin``: what documents pin beside what servers show now, and putting the new one into the documents."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

import click

from transom import daemon, errors
from transom.cli import common
from transom.reconcile import pins
from transom.spec import bundle, edit, loader, problems, resolve, wish


@click.command()
@click.argument("cluster", required=False)
@common.files_option
@click.option("--write", is_flag=True, help="Put what is shown now into the documents of -f, after asking.")
@click.option("--yes", is_flag=True, help="Do not ask: you have compared what is shown.")
@common.json_option
def pin(cluster: str | None, files: tuple[pathlib.Path, ...], write: bool, yes: bool, as_json: bool) -> None:
    """Show the API's certificates and the SSH host keys of CLUSTER (or of each) beside those pinned. Nobody logs in.

    Exit code 0 when they are the same (or were written), 2 when they differ, 69 when one cannot be seen.
    """
    if not files:
        raise click.UsageError("give at least one -f FILE: the documents that pin")
    with common.told(as_json=as_json):
        docs = loader.load(files)
        found = [one for nodes in _clusters(docs, cluster) for one in daemon.pins(nodes)]
        if as_json:
            common.show_json([{**dataclasses.asdict(one), "differs": one.differs} for one in found])
        else:
            click.echo("\n".join(map(_text, found)))
        new = _new(found)
        if write and new and common.confirmed("Is this what the servers' own consoles show? Pin it", yes=yes):
            _write(docs, new)
            new = []
    raise SystemExit(69 if any(one.error for one in found) else common.CHANGES if new else 0)


def _clusters(docs: bundle.Bundle, only: str | None) -> list[list[wish.NodeWish]]:
    found = collections.defaultdict(list)
    for node in resolve.resolve(docs):
        if only in (None, node.cluster):
            found[node.cluster].append(node)
    if not found:
        raise errors.Rejected(f"no node of cluster {only!r} is declared" if only else "no node is declared")
    return list(found.values())


def _new(found: Iterable[pins.Pin]) -> list[pins.Pin]:
    """What would be written: each place once. Rejected when endpoints of one cluster show different certificates."""
    new: dict[tuple[str, str, tuple[str, ...]], pins.Pin] = {}
    shown: dict[tuple[str, str, tuple[str, ...]], set[str]] = collections.defaultdict(set)
    for one in found:
        if one.error or not one.value:
            continue
        place = one.kind, one.name, one.path
        shown[place].add(one.value)
        if len(shown[place]) > 1:
            hint = (
                "pin each in api.fingerprints, or name the cluster's CA in api.ca: /etc/pve/pve-root-ca.pem of a node"
            )
            raise errors.Rejected(f"the endpoints of {one.name} show different certificates", hint=hint)
        if one.differs:
            new[place] = one
    return list(new.values())


def _write(docs: bundle.Bundle, new: Sequence[pins.Pin]) -> None:
    """Every file changed in memory first, then written whole, with its former text beside it."""
    texts: dict[pathlib.Path, str] = {}
    for one in new:
        item = next(item for item in docs.own if (item.kind, item.name) == (one.kind, one.name))
        path = pathlib.Path(item.file)
        text = texts.get(path) or _read(path)
        texts[path] = edit.replace(text, one.kind, one.name, one.path, one.value)
    for path, text in texts.items():
        kept = _keep(path)
        _put(path, text)
        common.progress(f"{path} pins what is shown now; what it was is in {kept.name}")


def _read(path: pathlib.Path) -> str:
    return path.read_bytes().decode("utf-8")


def _keep(path: pathlib.Path) -> pathlib.Path:
    """A copy of the file under a new name beside it, which no command takes for a document."""
    for count in range(1, 10_000):
        kept = path.with_name(f"{path.name}.before-{count}")
        try:
            with kept.open("xb") as copy:
                copy.write(path.read_bytes())
        except FileExistsError:
            continue
        kept.chmod(path.stat().st_mode & 0o777)
        return kept
    raise errors.Rejected(f"{path} has too many copies beside it", hint="remove what you do not need")


def _put(path: pathlib.Path, text: str) -> None:
    """Whole or not at all; a link stays one."""
    target = path.resolve()
    beside = target.with_name(f".{target.name}.new")
    beside.write_bytes(text.encode("utf-8"))
    beside.chmod(target.stat().st_mode & 0o777)
    beside.replace(target)


def _text(one: pins.Pin) -> str:
    what = f"{one.kind}/{one.name} {'.'.join(one.path[1:])} at {one.where}"
    if one.error:
        return f"{what}: cannot be seen: {one.error}"
    about = f"\n  {problems.printable(one.about)}" if one.about else ""
    if not one.differs:
        return f"{what}: as pinned\n  {one.old}{about}"
    return f"{what}: DIFFERS\n  pinned {one.old}\n  shown  {one.new}{about}"
