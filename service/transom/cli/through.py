"""Commands that can work alone, through a daemon when there is one: then it is the one who writes, and knows what is under way.

Each either does nothing, because there is no daemon, or does the whole command; those that have an exit code of their own end with
it.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import click

from transom import errors, model
from transom.api import place
from transom.cli import carry, client, common, policies
from transom.plan import result
from transom.reconcile import good
from transom.report import node_text, run_text


@contextlib.contextmanager
def found(state: pathlib.Path, server: str | None, *, as_json: bool) -> Iterator[client.Client | None]:
    """The daemon to ask, closed afterwards, with errors told; None when there is none. Which one is told on standard error."""
    with common.told(as_json=as_json):
        if not server and place.find(state) is None:
            yield None
            return
        daemon = client.need(state, server)
        common.progress(f"(through the daemon at {daemon.url})")
        try:
            yield daemon
        finally:
            daemon.close()


# --- looking ---------------------------------------------------------------------------------------------------------


def nodes(state: pathlib.Path, server: str | None, *, as_json: bool) -> bool:
    """Whether a daemon was asked."""
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return False
        rows = daemon.items("/v1/nodes")
    _show(rows, "".join(f"{node_line(row)}\n" for row in rows), as_json=as_json)
    return True


def node_line(node: dict[str, Any]) -> str:
    """One node of ``GET /v1/nodes``."""
    return f"{node['name']:16} {node['cluster']:16} {node['mode']:8} {node['state']:12} {node['reason']}".rstrip()


def facts(state: pathlib.Path, server: str | None, name: str, *, as_json: bool) -> bool:
    """Whether a daemon was asked."""
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return False
        said = daemon.get(f"/v1/nodes/{client.quoted(name)}/facts")
        last = daemon.get(f"/v1/nodes/{client.quoted(name)}/last-good")
    text = (
        ""
        if as_json
        else node_text.text(model.from_json(model.Facts, said))
        + node_text.last_good(model.from_json(good.LastGood, last))
    )
    _show(said | {"last_good": last}, text, as_json=as_json)
    return True


def runs(state: pathlib.Path, server: str | None, only: str, *, as_json: bool) -> bool:
    """Whether a daemon was asked."""
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return False
        rows = daemon.items("/v1/runs", node=only)
        if only and not rows:
            carry.need_node(daemon, only)
    _show(rows, run_text.table(map(run_text.from_data, rows)), as_json=as_json)
    return True


def run(state: pathlib.Path, server: str | None, run_id: str, *, card: bool, as_json: bool) -> bool:
    """Whether a daemon was asked."""
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return False
        said = daemon.get(f"/v1/runs/{client.quoted(run_id)}")
        events = [run_text.event_from_data(run_id, event) for event in said["events"]]
        row = run_text.from_data({name: value for name, value in said.items() if name != "events"})
        text = run_text.card(row, events) if card else run_text.journal(row, events)
    _show(said, text, as_json=as_json and not card)
    return True


def logs(state: pathlib.Path, server: str | None, run_id: str, *, follow: bool, as_json: bool) -> bool:
    """Whether a daemon was asked. To ``follow`` a run without one is refused."""
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            if follow:
                raise errors.Unreachable("a run can only be followed through a daemon", hint="transom serve starts one")
            return False
        for line in _lines(daemon, run_id, follow=follow):
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else run_text.line(line))
    return True


def _lines(daemon: client.Client, run_id: str, *, follow: bool) -> Iterator[dict[str, Any]]:
    """The journal so far, then each line as it is written, until the run has ended."""
    told = 0
    while True:
        said = daemon.get(f"/v1/runs/{client.quoted(run_id)}")
        fresh = said["events"][told:]
        told += len(fresh)
        yield from fresh
        if not follow or said["state"] != "running":
            return
        time.sleep(client.POLL)


def plan(
    state: pathlib.Path,
    server: str | None,
    files: Sequence[pathlib.Path],
    only: str,
    form: str,
    *,
    verbose: bool,
    detailed: bool,
    simulate: bool = False,
) -> None:
    """``form`` is json, shell or text."""
    with found(state, server, as_json=form == "json") as daemon:
        if daemon is None:
            return
        looks = carry.preview(daemon, files, only, simulate=simulate)
        if form == "json":
            common.show_json([one.data for one in looks])
        else:
            parts = (one.shell() if form == "shell" else one.text(verbose=verbose) for one in looks)
            click.echo("\n".join(parts), nl=False)
        raise SystemExit(max(one.code(detailed=detailed) for one in looks))


# --- doing -----------------------------------------------------------------------------------------------------------


def apply(
    state: pathlib.Path,
    server: str | None,
    files: Sequence[pathlib.Path],
    only: str,
    *,
    yes: bool,
    hash: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return
        how = carry.How(only=only, yes=yes, approve=hash, as_json=as_json)
        if dry_run:
            carry.dry(carry.preview(daemon, files, only), how)
        policies.agreed(daemon, files, yes=yes)
        outcomes = carry.provision(daemon, files, how)
        if as_json:
            common.show_json([outcome.data for outcome in outcomes])
        raise SystemExit(max((outcome.code for outcome in outcomes), default=0))


def adopt(state: pathlib.Path, server: str | None, node: str, *, yes: bool, as_json: bool) -> None:
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return
        how = carry.How(yes=yes, as_json=as_json)
        (one,) = carry.preview(daemon, (), node, take_over=True)
        plan = one.need()
        if not _agreed(plan, how, how.question.format(hash=plan.hash, node=node)):
            _end({"plan": one.data, "run": None}, one.code(), how)
        outcome = carry.approve(daemon, one.data)
        _end(outcome.data, outcome.code, how)


def undo(
    state: pathlib.Path, server: str | None, run_id: str, *, yes: bool, dry_run: bool, as_shell: bool, as_json: bool
) -> None:
    with found(state, server, as_json=as_json) as daemon:
        if daemon is None:
            return
        how = carry.How(yes=yes, as_json=as_json)
        one = carry.look_of(daemon.post(f"/v1/runs/{client.quoted(run_id)}/undo/preview"))
        plan = one.need()
        if as_shell and not as_json:
            click.echo(one.shell(), nl=False)
            raise SystemExit(one.code())
        if dry_run or as_shell:
            carry.show(plan, how)
            _end({"plan": one.data, "run": None}, one.code(), how)
        # An undo with nothing left to do on the node still closes the books on its run.
        if not _agreed(plan, how, f"Undo {run_id} on {plan.node}?", though_empty=True):
            _end({"plan": one.data, "run": None}, one.code(), how)
        operation = daemon.post(f"/v1/runs/{client.quoted(run_id)}/undo", {"approved": plan.hash})
        outcome = carry.follow(daemon, operation, one.data)
        _end(outcome.data, outcome.code, how)


def _agreed(plan: result.Plan, how: carry.How, question: str, *, though_empty: bool = False) -> bool:
    """Show the plan; whether there is something to do, and its user says so."""
    carry.show(plan, how)
    if plan.held or (plan.empty and not plan.forgets and not though_empty):
        return False
    if common.confirmed(question, yes=how.yes):
        return True
    click.echo(carry.NOTHING, err=True)
    return False


def _end(data: dict[str, Any], code: int, how: carry.How) -> NoReturn:
    if how.as_json:
        common.show_json(data)
    raise SystemExit(code)


def _show(data: Any, text: str, *, as_json: bool) -> None:
    if as_json:
        common.show_json(data)
    else:
        click.echo(text, nl=False)
