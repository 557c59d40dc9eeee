"""Changes through a daemon: hand in, wait, show its plan, ask, approve, follow."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click

from transom import errors, model
from transom.api import problem
from transom.cli import client, common, look
from transom.plan import rehearsal, result
from transom.report import plan_text, run_text
from transom.spec import loader

NOTHING = "Nothing was changed."
CODES = {"done": 0, "waiting": 0, "held": common.HELD, "failed": 1}


@dataclasses.dataclass(frozen=True)
class How:
    """What the user said. ``only``: this node; ``approve``: only this plan; ``question`` is asked of each plan, with its hash and
    node filled in; ``shown``: the plan that the user has seen already."""

    only: str = ""
    yes: bool = False
    approve: str = ""
    as_json: bool = False
    verbose: bool = False
    question: str = "Apply plan {hash} to {node}?"
    shown: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one node's part. ``plan`` is the daemon's JSON, None when the node was as declared."""

    node: str
    state: str
    reason: str
    plan: Mapping[str, Any] | None
    run: str | None
    code: int

    @property
    def data(self) -> dict[str, Any]:
        shown = dataclasses.asdict(self)
        del shown["code"]
        return shown


# --- looking ---------------------------------------------------------------------------------------------------------


def preview(
    daemon: client.Client, files: Sequence[pathlib.Path], only: str, *, take_over: bool = False, simulate: bool = False
) -> list[look.Look]:
    """What would be done; nothing is stored."""
    asked = {"take_over": "true" if take_over else "", "simulate": "true" if simulate else ""}
    found = _hand_in(daemon, "/v1/preview", files, node=only, **asked)["items"]
    if not found:
        raise errors.Rejected("no documents are stored yet", hint="transom apply -f FILE")
    return [look_of(one) for one in found]


def preview_parting(daemon: client.Client, kind: str, name: str) -> list[look.Look]:
    """What ``release`` or ``remove`` (``kind``) would do."""
    return [look_of(one) for one in daemon.post(f"/v1/{kind}/preview", {"name": name})["items"]]


def dry(looks: Sequence[look.Look], how: How) -> NoReturn:
    """Show and end, as ``apply --dry-run`` does."""
    if how.as_json:
        common.show_json([{"plan": one.data, "run": None} if one.plan else one.data for one in looks])
    else:
        for one in looks:
            if one.plan:
                show(one.plan, how)
            else:
                click.echo(f"transom: node {one.node}: {one.error}", err=True)
    raise SystemExit(max((one.code() for one in looks), default=0))


def look_of(said: Mapping[str, Any]) -> look.Look:
    """One node of a preview."""
    if "problem" in said:
        return look.Look(said["node"], error=problem.to_error(said["problem"], said["problem"]["status"]))
    tried = model.from_json(rehearsal.Tried, said["simulated"]) if said.get("simulated") else None
    return look.Look(said["node"], plan_of(said), tried=tried)


def plan_of(data: Mapping[str, Any]) -> result.Plan:
    """The plan that the daemon's JSON is of."""
    return model.from_json(result.Plan, data)


def _hand_in(daemon: client.Client, path: str, files: Sequence[pathlib.Path], **query: str) -> Any:
    """Files go by their absolute names: the daemon reads what they name from there. Mistakes name them as the user did."""
    texts = loader.texts(files)
    sent = [{"name": str(file.absolute()), "text": text} for file, text in texts]
    try:
        return daemon.post(path, {"files": sent}, **query)
    except errors.SpecError as error:
        given = {str(file.absolute()): str(file) for file, _ in texts}
        rows = [dataclasses.replace(row, file=given.get(row.file, row.file)) for row in error.rows]
        raise errors.SpecError(rows) from None


def show(plan: result.Plan, how: How) -> None:
    if not how.as_json:
        click.echo(plan_text.text(plan, verbose=how.verbose), nl=False)


# --- doing -----------------------------------------------------------------------------------------------------------


def provision(daemon: client.Client, files: Sequence[pathlib.Path], how: How) -> list[Outcome]:
    """Hand in the documents (without files: see to those stored once more), and carry out what is approved."""
    operation = _hand_in(daemon, "/v1/documents", files)
    if not files and not operation["shares"]:
        raise errors.Rejected("no documents are stored yet", hint="transom apply -f FILE")
    outcomes = see_through(daemon, operation["id"], how)
    for run in [outcome.run for outcome in outcomes if outcome.run]:
        common.progress(f"`transom undo {run}` takes it back")
    return outcomes


def see_through(daemon: client.Client, operation: str, how: How) -> list[Outcome]:
    """Follow an operation; what waits for approval is shown and asked for, and followed to its end."""
    with watched(daemon) as watch:
        settled = daemon.settle(operation, [how.only] if how.only else ())
        _check_only(daemon, settled, how)
        parts = [_decide(daemon, share, how, watch) for share in settled["shares"]]
        return [_end(daemon, *part) for part in parts]


def approve(daemon: client.Client, plan: Mapping[str, Any]) -> Outcome:
    """Approve exactly this plan, and follow it."""
    with watched(daemon) as watch:
        watch.add(plan["node"])
        return _end(daemon, _approve(daemon, plan), plan)


def follow(daemon: client.Client, operation: Mapping[str, Any], plan: Mapping[str, Any]) -> Outcome:
    """To the end of an operation that needs no further approval."""
    with watched(daemon) as watch:
        watch.add(plan["node"])
        return _end(daemon, daemon.settle(operation["id"], [plan["node"]])["shares"][0], plan)


def _check_only(daemon: client.Client, settled: Mapping[str, Any], how: How) -> None:
    """Rejected, as without a daemon, when the one node that was meant is declared by nobody."""
    if not how.only or settled["shares"]:
        return
    need_node(daemon, how.only)
    common.progress(f"nothing on {how.only} comes of these documents")


def need_node(daemon: client.Client, name: str) -> None:
    """Rejected when no document declares it."""
    known = [row["name"] for row in daemon.items("/v1/nodes")]
    if name not in known:
        raise errors.Rejected(f"no document declares node {name!r}", hint=f"there are: {', '.join(known) or 'none'}")


Part = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""A share, and the plan that was shown."""


def _decide(daemon: client.Client, share: Mapping[str, Any], how: How, watch: set[str]) -> Part:
    """Show what came of one node's part; when it waits and its user says yes, approve it."""
    plan = daemon.get(f"/v1/plans/{share['plan']}") if share["plan"] else None
    if plan and plan["hash"] != how.shown:
        show(plan_of(plan), how)
    if plan is None or share["state"] != "waiting":
        return share, plan
    if how.approve and how.approve != plan["hash"]:
        raise errors.Void(f"the plan is {plan['hash']} now, not {how.approve}", hint="look at it, and approve that one")
    question = how.question.format(hash=plan["hash"], node=plan["node"])
    if not common.confirmed(question, yes=how.yes or bool(how.approve)):
        return share, plan
    watch.add(plan["node"])
    return _approve(daemon, plan), plan


def _approve(daemon: client.Client, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    operation = daemon.post(f"/v1/plans/{plan['hash']}/approve")
    return {"operation": operation["id"], "node": plan["node"]}


def _end(daemon: client.Client, share: Mapping[str, Any], plan: Mapping[str, Any] | None) -> Outcome:
    """How it ended; one that was approved is waited for."""
    if "operation" in share:
        share = daemon.settle(share["operation"], [share["node"]])["shares"][0]
    code = CODES.get(share["state"], common.EXITS[errors.Unreachable])
    if not code and share["run"] and plan and plan.get("held_documents"):
        code = common.HELD  # the plan has been carried out, and left what holds single VMs
    outcome = Outcome(share["node"], share["state"], share["reason"], plan, share["run"] or None, code)
    _say(outcome)
    return outcome


def _say(outcome: Outcome) -> None:
    said = {
        "done": f"{outcome.node}: done: {outcome.reason}",
        "waiting": f"{NOTHING} {outcome.node} waits: {outcome.reason}; `transom approve` lets it go on",
        "held": f"{outcome.node}: held: {outcome.reason}",
        "failed": f"{outcome.node}: failed: {outcome.reason}",
    }
    common.progress(said.get(outcome.state, f"{outcome.node}: {outcome.reason}; the daemon tries again by itself"))


def finish(outcomes: Sequence[Outcome], *, as_json: bool) -> NoReturn:
    """End with what became of it."""
    if as_json:
        common.show_json([outcome.data for outcome in outcomes])
    raise SystemExit(max((outcome.code for outcome in outcomes), default=0))


# --- progress --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def watched(daemon: client.Client) -> Iterator[set[str]]:
    """While the block runs, the steps of the nodes in the set that is given are told on standard error."""
    nodes: set[str] = set()
    threading.Thread(target=_tell, args=(daemon, nodes), daemon=True).start()
    yield nodes


def _tell(daemon: client.Client, nodes: set[str]) -> None:
    with contextlib.suppress(errors.TransomError):  # it is only for looking at: what matters is asked for
        for event in daemon.events():
            data = event["data"]
            if event["kind"] == "run.step" and event["node"] in nodes and data.get("phase") in run_text.SIGNS:
                common.progress(f"{event['node']}: [{data['step']}] {run_text.SIGNS[data['phase']]} {data['text']}")
