"""Plans: looked at, approved, rejected; and previews, which nothing comes of."""

from __future__ import annotations

from transom.api import auth, route, wire
from transom.reconcile import backend

STATES = ("proposed", "waiting", "approved", "applied", "rejected", "void", "held", "failed")


def _plans(call: route.Call) -> route.Answer:
    rows = call.backend.plans(call.query.get("node", ""), call.query.get("state", ""))
    return route.Answer(route.limited(call, rows))


def _plan(call: route.Call) -> route.Answer:
    return route.Answer(_found(call))


def _found(call: route.Call) -> object:
    return route.look_up(call.backend.plan, call.path["hash"])


def _approve(call: route.Call) -> route.Answer:
    _found(call)
    return route.accepted(call.backend.approve(call.path["hash"], by=call.caller.name))


def _reject(call: route.Call) -> route.Answer:
    _found(call)
    return route.Answer(call.backend.reject(call.path["hash"], call.body.reason, by=call.caller.name))


def _preview(call: route.Call) -> route.Answer:
    handed: route.Handed = call.body
    route.may_hand_in(call, handed)
    take_over = call.query.get("take_over") == "true"
    simulate = call.query.get("simulate") == "true"
    if simulate:  # files that nobody has approved are read by programs of root's
        auth.require(call.caller, auth.Scope.APPROVER)
    found = call.backend.preview(handed.texts, call.query.get("node", ""), take_over=take_over, simulate=simulate)
    return route.previews(found)


ROUTES = (
    route.Route(
        "GET",
        "/v1/plans",
        auth.Scope.VIEWER,
        "Plans, newest first.",
        _plans,
        wire.Items[backend.PlanRow],
        query=(route.NODE, route.Query("state", "Only plans in this state.", values=STATES), route.LIMIT),
    ),
    route.Route("GET", "/v1/plans/{hash}", auth.Scope.VIEWER, "One plan, whole.", _plan, wire.Plan),
    route.Route(
        "POST",
        "/v1/plans/{hash}/approve",
        auth.Scope.APPROVER,
        "Let exactly this plan be carried out, once; one that was rejected too.",
        _approve,
        backend.Operation,
        status=202,
        also={409: "the plan waits no longer"},
    ),
    route.Route(
        "POST",
        "/v1/plans/{hash}/reject",
        auth.Scope.APPROVER,
        "This plan is not wanted; it is not proposed again as long as nothing changes.",
        _reject,
        backend.PlanRow,
        body=wire.Reason,
        also={409: "the plan waits no longer"},
    ),
    route.Route(
        "POST",
        "/v1/preview",
        auth.Scope.OPERATOR,
        "What would be done if these documents were laid over those stored: for each node its plan, or (`problem`) why there is "
        "none. Looks at the nodes; stores and changes nothing.",
        _preview,
        wire.Items[wire.Plan | wire.NoPlan],
        query=(
            route.NODE,
            route.Query(
                "take_over", "As if contradicting lines and named VMs may be taken over.", values=("true", "false")
            ),
            route.Query(
                "simulate",
                "Let each node's own tools try its plan aside (`simulated`), an initramfs included, which takes minutes; writes to "
                "a temporary folder on the node alone. Needs scope approver.",
                values=("true", "false"),
            ),
            route.Query("name", "As `name` of a file in JSON, for YAML."),
        ),
        body=route.Body.DOCUMENTS,
        slow=True,
        also={422: "documents are wrong; `problems` lists all mistakes"},
    ),
)
