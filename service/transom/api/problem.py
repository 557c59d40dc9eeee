"""How errors read over HTTP: RFC 9457 problem details. One table from the error tree; nothing of the inside comes out."""

from __future__ import annotations

import dataclasses
import http
from collections.abc import Mapping
from typing import Any

import pydantic_core

from transom import errors

MEDIA = "application/problem+json"
URN = "urn:transom:problem:"


@dataclasses.dataclass
class Problem(Exception):
    """One answer that is no success. ``kind`` ends the ``type`` URI; clients tell problems by it, people read ``detail``.

    ``problems`` are all mistakes that were found: in documents, or (without file and line) in the request's own fields.
    """

    status: int
    kind: str
    detail: str
    hint: str = ""
    retry: str = errors.Retry.NEVER.value
    problems: tuple[errors.Mistake, ...] = ()
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def body(self) -> bytes:
        """As JSON, without what is empty."""
        return pydantic_core.to_json(self.data)

    @property
    def data(self) -> dict[str, Any]:
        """As ``wire.ProblemDetails``."""
        said: dict[str, Any] = {
            "type": URN + self.kind,
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "retry": self.retry,
        }
        optional = {"hint": self.hint, "problems": self.problems}
        return said | {name: value for name, value in optional.items() if value}


@dataclasses.dataclass(frozen=True)
class _Row:
    status: int
    kind: str
    after: int | None = None
    """Seconds for Retry-After."""


# 502 for what stands behind us. Denied is 403 with a type of its own: there a node refused us, "insufficient-scope" is our refusal.
_ROWS: Mapping[type[errors.TransomError], _Row] = {
    errors.SpecError: _Row(422, "spec-error"),
    errors.RomError: _Row(422, "rom-error"),
    errors.Rejected: _Row(409, "rejected"),
    errors.Void: _Row(409, "void"),
    errors.Busy: _Row(409, "busy", 5),
    errors.Denied: _Row(403, "denied"),
    errors.Unreachable: _Row(502, "unreachable", 30),
    errors.Garbled: _Row(502, "garbled", 30),
    errors.VerifyFailed: _Row(500, "verify-failed"),
    errors.SandboxError: _Row(500, "sandbox-error"),
    errors.TransomError: _Row(500, "error"),
}

KINDS: Mapping[str, type[errors.TransomError]] = {row.kind: kind for kind, row in _ROWS.items()}
"""For clients: the error that a problem's type stands for."""


def of_error(error: errors.TransomError) -> Problem:
    """The nearest class of the tree decides."""
    row = next(_ROWS[kind] for kind in type(error).__mro__ if kind in _ROWS)
    headers = {} if row.after is None else {"Retry-After": str(row.after)}
    problems: tuple[errors.Mistake, ...] = ()
    detail, hint = error.message, error.hint
    if isinstance(error, errors.SpecError):
        problems, detail = error.rows, _counted(len(error.rows))
    elif isinstance(error, errors.Rejected) and error.fields:
        problems = tuple(errors.Mistake("", 0, name, reason) for name, reason in error.fields.items())
    return Problem(row.status, row.kind, detail, hint, error.retry.value, problems, headers)


def _counted(mistakes: int) -> str:
    return f"{mistakes} mistake{'' if mistakes == 1 else 's'} in the documents"


def to_error(said: Mapping[str, Any], status: int) -> errors.TransomError:
    """For clients: the error that ``said`` (``wire.ProblemDetails``) stands for. KeyError or TypeError when it is none."""
    kind, detail, hint = str(said["type"]).removeprefix(URN), str(said["detail"]), str(said.get("hint", ""))
    rows = [errors.Mistake(one["file"], one["line"], one["path"], one["reason"]) for one in said.get("problems", [])]
    if kind == "spec-error":
        return errors.SpecError(rows)
    if status in (401, 403):
        return errors.Denied(detail, hint=hint)
    if kind == "overloaded":
        return errors.Busy(detail, hint=hint)
    if kind == "internal":
        return errors.TransomError(detail, hint=hint)
    return KINDS.get(kind, errors.Rejected)("; ".join([detail, *map(str, rows)]), hint=hint)


# --- what only HTTP knows --------------------------------------------------------------------------------------------


def unauthorized(detail: str, *, given: bool) -> Problem:
    """401 with the challenge of RFC 6750."""
    challenge = 'Bearer realm="transom"' + (', error="invalid_token"' if given else "")
    hint = "send `Authorization: Bearer TOKEN`; `transom token add` makes one"
    return Problem(401, "unauthorized", detail, hint, headers={"WWW-Authenticate": challenge})


def forbidden(detail: str, scope: str) -> Problem:
    challenge = f'Bearer realm="transom", error="insufficient_scope", scope="{scope}"'
    return Problem(403, "insufficient-scope", detail, headers={"WWW-Authenticate": challenge})


def not_found(detail: str, hint: str = "") -> Problem:
    return Problem(404, "not-found", detail, hint)


def bad_request(detail: str, *problems: errors.Mistake) -> Problem:
    """400: the request itself is wrong; documents that are wrong are 422."""
    return Problem(400, "bad-request", detail, problems=problems)


def overloaded(detail: str) -> Problem:
    return Problem(503, "overloaded", detail, retry=errors.Retry.SOON.value, headers={"Retry-After": "5"})


def internal() -> Problem:
    """What went wrong stands in the daemon's log and nowhere else."""
    return Problem(500, "internal", "a mistake in Transom; its log says more")


def plain(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """For what the router refuses: no such path, no such method."""
    details = {404: "there is no such path", 405: "this path does not know that method"}
    hint = "/v1/openapi.json lists all there are"
    kind = http.HTTPStatus(status).phrase.lower().replace(" ", "-")
    return Problem(status, kind, details.get(status, "refused"), hint, headers=headers or {})
