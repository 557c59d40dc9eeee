"""What a route is: one frozen value that says everything about it; the application and the OpenAPI document are made from these."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transom import errors
from transom.api import auth, problem, wire
from transom.reconcile import backend


class Body(enum.Enum):
    """Bodies that are more than JSON of one type."""

    NONE = "none"
    DOCUMENTS = "documents"
    """YAML of several documents, or JSON of ``wire.Provision``; the handler gets ``Handed``."""
    UPLOAD = "upload"
    """A file's bytes, or JSON of ``wire.RomPush``; the handler gets ``Upload``."""


@dataclasses.dataclass(frozen=True)
class Handed:
    """Documents that were handed in."""

    texts: tuple[backend.Text, ...]
    approve: bool


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file that was handed in, or where to fetch it; ``incoming`` is to be dropped when done with."""

    asked: wire.RomPush | wire.RomUpload
    incoming: backend.Incoming | None


@dataclasses.dataclass(frozen=True)
class Query:
    """One parameter behind the question mark. Without ``values`` any text is right."""

    name: str
    summary: str
    values: tuple[str, ...] = ()
    number: range | None = None
    """It is a whole number in this range."""


@dataclasses.dataclass(frozen=True)
class Call:
    """What a handler is given."""

    backend: backend.Backend
    caller: auth.Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    now: float
    """Seconds since the epoch."""
    body: Any = None
    """Of the route's body type, checked."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a handler gives back. ``value`` is dumped as JSON, unless it is bytes, which are sent as they are."""

    value: Any
    status: int | None = None
    """None: the route's."""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    media: str = "application/json"


@dataclasses.dataclass(frozen=True)
class Route:
    """``handle`` runs in a thread and may block; ``slow`` ones (they ask nodes) have threads of their own."""

    method: str
    path: str
    scope: auth.Scope | None
    """None: anybody may, without a token."""
    summary: str
    handle: Callable[[Call], Answer]
    answer: Any
    """The type of the answer, for the OpenAPI document."""
    status: int = 200
    query: tuple[Query, ...] = ()
    headers: tuple[Query, ...] = ()
    body: Any = Body.NONE
    also: Mapping[int, str] = dataclasses.field(default_factory=dict)
    """Statuses of its own beside those that every route has → why."""
    media: tuple[str, ...] = ()
    """Other media types that ``Accept`` can ask for."""
    binary: bool = False
    """Answers with bytes as they are."""
    slow: bool = False
    stream: bool = False
    """Answers with the event stream; ``handle`` is not called."""

    @property
    def id(self) -> str:
        """``get-v1-plans-hash``: unique, for generated clients."""
        words = self.path.replace("{", "").replace("}", "").strip("/").replace(".", "-").replace("/", "-")
        return f"{self.method.lower()}-{words}"


def may_hand_in(call: Call, handed: Handed) -> None:
    """Problem 403 when the documents hold what is for an approver to decide, and the caller is none."""
    if call.caller.scope >= auth.Scope.APPROVER:
        return
    if found := call.backend.reserved(handed.texts):
        raise problem.forbidden(
            f"token {call.caller.name!r} is {call.caller.scope.word}; this needs approver: {'; '.join(found)}",
            "approver",
        )


LIMIT = Query("limit", "How many at most, newest first.", number=range(1, 1001))
NODE = Query("node", "Only this node (the name of its document).")


def limited(call: Call, items: list[Any]) -> dict[str, Any]:
    """``wire.Items``, cut to the query's ``limit`` (100)."""
    limit = int(call.query.get("limit", "100"))
    return {"items": items[:limit], "total": len(items)}


def every(items: list[Any]) -> dict[str, Any]:
    """``wire.Items`` of all."""
    return {"items": items, "total": len(items)}


def previews(found: Sequence[backend.Preview]) -> Answer:
    """``wire.Items`` of ``wire.Plan`` and ``wire.NoPlan``."""
    return Answer(every([dict(one.plan) if one.error is None else _no_plan(one.node, one.error) for one in found]))


def _no_plan(node: str, error: errors.TransomError) -> dict[str, Any]:
    return {"node": node, "problem": problem.of_error(error).data}


def look_up(find: Callable[[str], Any], name: str) -> Any:
    """The thing that a path names; Problem 404, not 409, when there is none."""
    try:
        return find(name)
    except errors.Rejected as error:
        raise problem.not_found(error.message, error.hint) from error


def accepted(operation: backend.Operation) -> Answer:
    """202, with the place where the operation can be followed."""
    return Answer(operation, headers={"Location": f"/v1/operations/{operation.id}"})
