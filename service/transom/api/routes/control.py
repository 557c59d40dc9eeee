"""The daemon itself: alive, ready, paused; who asks; and the event stream."""

from __future__ import annotations

from transom.api import auth, route, wire
from transom.reconcile import backend


def _healthz(call: route.Call) -> route.Answer:
    del call  # whoever gets here is alive
    return route.Answer({"status": "ok"})


def _readyz(call: route.Call) -> route.Answer:
    parts = call.backend.ready()
    ready = all(said == "ok" for said in parts.values())
    return route.Answer({"ready": ready, "parts": parts}, status=200 if ready else 503)


def _whoami(call: route.Call) -> route.Answer:
    return route.Answer({"name": call.caller.name, "scope": call.caller.scope.word})


def _status(call: route.Call) -> route.Answer:
    return route.Answer(call.backend.status())


def _pause(call: route.Call) -> route.Answer:
    call.backend.pause(call.body.reason, by=call.caller.name)
    return _status(call)


def _resume(call: route.Call) -> route.Answer:
    call.backend.resume(by=call.caller.name)
    return _status(call)


def _never(call: route.Call) -> route.Answer:
    raise AssertionError(f"{call.path}: a stream has no handler")


ROUTES = (
    route.Route("GET", "/healthz", None, "The process is alive.", _healthz, wire.Health),
    route.Route(
        "GET",
        "/readyz",
        None,
        "The store and the scheduler work. Asks no node: one that is down makes the daemon no worse.",
        _readyz,
        wire.Readiness,
        also={503: "not ready; the answer says which part"},
    ),
    route.Route("GET", "/v1/whoami", auth.Scope.VIEWER, "The token that asks, and its scope.", _whoami, wire.Whoami),
    route.Route("GET", "/v1/status", auth.Scope.VIEWER, "How the daemon stands.", _status, wire.Status),
    route.Route(
        "POST",
        "/v1/pause",
        auth.Scope.OPERATOR,
        "No new change starts; a step under way, a confirmation and a rollback still finish.",
        _pause,
        wire.Status,
        body=wire.Reason,
    ),
    route.Route("POST", "/v1/resume", auth.Scope.APPROVER, "Changes may start again.", _resume, wire.Status),
    route.Route(
        "GET",
        "/v1/events",
        auth.Scope.VIEWER,
        "Server-sent events of runs, drift and plans. `Last-Event-ID` goes on after that one. The event `reset` says that "
        "some were missed: read the state again. A client that does not read is dropped.",
        _never,
        backend.Event,
        query=(route.NODE,),
        headers=(route.Query("Last-Event-ID", "The id of the last event that was seen."),),
        media=("text/event-stream",),
        stream=True,
        also={503: "too many streams are open"},
    ),
)
