"""Documents and the operations that come of them; what a deleted document means is said by release and remove."""

from __future__ import annotations

from transom.api import auth, problem, route, wire
from transom.reconcile import backend

_KEY = 255


def _documents(call: route.Call) -> route.Answer:
    return route.Answer(route.every(call.backend.documents()))


def _provision(call: route.Call) -> route.Answer:
    handed: route.Handed = call.body
    if handed.approve:
        auth.require(call.caller, auth.Scope.APPROVER)
    route.may_hand_in(call, handed)
    key = _key(call)
    operation = call.backend.provision(handed.texts, approve=handed.approve, key=key, by=call.caller.name)
    return route.accepted(operation)


def _key(call: route.Call) -> str:
    key = call.headers.get("idempotency-key", "")
    if len(key) > _KEY or not key.isprintable():
        raise problem.bad_request(
            f"the Idempotency-Key has more than {_KEY} characters, or some that cannot be printed"
        )
    return key


def _operation(call: route.Call) -> route.Answer:
    return route.Answer(route.look_up(call.backend.operation, call.path["id"]))


def _release(call: route.Call) -> route.Answer:
    return route.accepted(call.backend.release(call.body.name, by=call.caller.name))


def _remove(call: route.Call) -> route.Answer:
    asked: wire.Removal = call.body
    found = call.backend.remove(asked.name, confirm=asked.confirm, plan=asked.plan, by=call.caller.name)
    return route.accepted(found)


def _operations(call: route.Call) -> route.Answer:
    return route.Answer(route.every(call.backend.operations()))


def _cancel(call: route.Call) -> route.Answer:
    found: backend.Operation = route.look_up(call.backend.operation, call.path["id"])
    if found.asked_by != call.caller.name:
        auth.require(call.caller, auth.Scope.APPROVER)
    return route.Answer(call.backend.cancel(found.id, by=call.caller.name))


def _preview_release(call: route.Call) -> route.Answer:
    return route.previews(call.backend.preview_parting("release", call.body.name))


def _preview_remove(call: route.Call) -> route.Answer:
    return route.previews(call.backend.preview_parting("remove", call.body.name))


_REFUSED = {409: "refused as things stand; `detail` says why"}

ROUTES = (
    route.Route(
        "GET",
        "/v1/documents",
        auth.Scope.VIEWER,
        "The stored documents, in the order in which they first came.",
        _documents,
        wire.Items[wire.Document],
    ),
    route.Route(
        "POST",
        "/v1/documents",
        auth.Scope.OPERATOR,
        "Store documents and see to what they declare; answers with an operation to follow. With `approve: plan` (scope "
        "approver) exactly the plans that come of it are carried out, otherwise they wait or the policy decides. Without "
        "documents, those stored are seen to once more. Scope approver also for what works without a plan: clusters, SSH "
        "addresses and keys, files of the daemon's machine, policies.",
        _provision,
        backend.Operation,
        status=202,
        query=(
            route.Query("approve", "As `approve` in JSON.", values=("plan",)),
            route.Query("name", "As `name` of a file in JSON, for YAML."),
        ),
        headers=(
            route.Query("Idempotency-Key", "Sent again with the same key and content, it is the same operation."),
        ),
        body=route.Body.DOCUMENTS,
        also={
            409: "the Idempotency-Key came with other content before",
            422: "documents are wrong; `problems` lists all mistakes",
        },
    ),
    route.Route(
        "GET",
        "/v1/operations/{id}",
        auth.Scope.VIEWER,
        "How far an operation is, node by node.",
        _operation,
        backend.Operation,
    ),
    route.Route(
        "GET",
        "/v1/operations",
        auth.Scope.VIEWER,
        "The operations that are open, oldest first.",
        _operations,
        wire.Items[backend.Operation],
    ),
    route.Route(
        "POST",
        "/v1/operations/{id}/cancel",
        auth.Scope.OPERATOR,
        "Withdraw a release, a removal or an undo that has not begun, or a push of a ROM that has not ended: one's own, or with "
        "scope approver anybody's.",
        _cancel,
        backend.Operation,
        also={409: "it is being carried out, has ended, or is none that can be withdrawn"},
    ),
    route.Route(
        "POST",
        "/v1/release",
        auth.Scope.APPROVER,
        "Forget a document and put back what Transom changed for it; a VM stays.",
        _release,
        backend.Operation,
        status=202,
        body=wire.Name,
        also=_REFUSED,
    ),
    route.Route(
        "POST",
        "/v1/release/preview",
        auth.Scope.OPERATOR,
        "What a release would do: a plan, or why there is none; no item when the document has nothing on any node. Looks at the "
        "node; changes nothing.",
        _preview_release,
        wire.Items[wire.Plan | wire.NoPlan],
        body=wire.Name,
        slow=True,
        also=_REFUSED,
    ),
    route.Route(
        "POST",
        "/v1/remove/preview",
        auth.Scope.OPERATOR,
        "What a removal would delete and put back: as the preview of a release.",
        _preview_remove,
        wire.Items[wire.Plan | wire.NoPlan],
        body=wire.Name,
        slow=True,
        also=_REFUSED,
    ),
    route.Route(
        "POST",
        "/v1/remove",
        auth.Scope.ADMIN,
        "Forget a document and delete what Transom made for it. `confirm` is the name once more, `plan` the hash of the "
        "plan that the preview showed: when another one comes of it, that waits for approval.",
        _remove,
        backend.Operation,
        status=202,
        body=wire.Removal,
        also=_REFUSED,
    ),
)
