"""Runs: what was done, step by step, and taking it back."""

from __future__ import annotations

from transom.api import auth, route, wire
from transom.reconcile import backend


def _runs(call: route.Call) -> route.Answer:
    return route.Answer(route.limited(call, call.backend.runs(call.query.get("node", ""))))


def _run(call: route.Call) -> route.Answer:
    return route.Answer(_found(call))


def _found(call: route.Call) -> object:
    return route.look_up(call.backend.run, call.path["id"])


def _preview(call: route.Call) -> route.Answer:
    _found(call)
    return route.Answer(call.backend.preview_undo(call.path["id"]))


def _undo(call: route.Call) -> route.Answer:
    _found(call)
    return route.accepted(call.backend.undo(call.path["id"], approved=call.body.approved, by=call.caller.name))


ROUTES = (
    route.Route(
        "GET",
        "/v1/runs",
        auth.Scope.VIEWER,
        "Runs, newest first.",
        _runs,
        wire.Items[wire.Run],
        query=(route.NODE, route.LIMIT),
    ),
    route.Route("GET", "/v1/runs/{id}", auth.Scope.VIEWER, "One run with its journal.", _run, wire.RunWithJournal),
    route.Route(
        "POST",
        "/v1/runs/{id}/undo/preview",
        auth.Scope.OPERATOR,
        "The plan that would take this run back. Looks at the node; changes nothing.",
        _preview,
        wire.Plan,
        slow=True,
        also={409: "it cannot be undone", 502: "the node cannot be reached"},
    ),
    route.Route(
        "POST",
        "/v1/runs/{id}/undo",
        auth.Scope.APPROVER,
        "Take this run back by the plan whose hash is `approved` (from the preview).",
        _undo,
        backend.Operation,
        status=202,
        body=wire.Approved,
        slow=True,
        also={409: "it cannot be undone, or the plan is another one now"},
    ),
)
