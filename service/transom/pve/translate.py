"""What PVE and the line to it answer, as the project's errors. The only place that knows PVE's wording of failures.

PVE has few statuses: 400 is parameters (with a map, all at once), 401 the login, 403 a privilege, 501 a path that does not
exist, 595-599 the proxy between nodes, and 500 everything else, so there the text decides.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl

import httpx
from proxmoxer.core import ResourceException

from transom import errors

_WRITE_HINT = "it may have happened: read before doing it again"
RIGHTS_HINT = "`transom node check` tells every right that is missing, `transom mint` grants it"
_GATEWAY = frozenset({502, 503, 504, 595, 596, 597, 598, 599})

_NO_WAY: dict[int, tuple[str, str]] = {
    errno.ECONNREFUSED: (
        "connection refused: nothing listens there",
        "is pveproxy running on the node, and are address and port in api.endpoints right?",
    ),
    errno.EHOSTUNREACH: ("no route to the host", "is the node up, and is its address in api.endpoints right?"),
    errno.ENETUNREACH: ("no route to the network", "is the address in api.endpoints right, and the network up?"),
}
"""Why no connection was made → words for it, and the way out."""

# First match wins. Texts as PVE 9.2 prints them.
_TEXTS: tuple[tuple[re.Pattern[str], type[errors.TransomError], str], ...] = (
    (
        # pmxcfs refuses to open for writing what check_cfs_quorum did not look at before
        re.compile(r"no quorum|/etc/pve/\S+' - (?:Permission denied|Read-only file system)", re.I),
        errors.Rejected,
        "/etc/pve is read-only: write nothing to this cluster",
    ),
    (re.compile(r"ipcc_send_rec|Transport endpoint is not connected", re.I), errors.Unreachable, "is pve-cluster up?"),
    (
        re.compile(r"checksum mismatch|detected modified configuration", re.I),
        errors.Void,
        "changed meanwhile: plan again",
    ),
    (re.compile(r"is locked \([\w-]+\)", re.I), errors.Busy, "never unlocked by force"),
    (  # before the locks: no waiting makes such a guest obey
        re.compile(r"VM quit/powerdown failed", re.I),
        errors.Rejected,
        "the guest did not shut down: guest agent running, or ACPI obeyed?",
    ),
    (
        re.compile(r"can't lock file|can't acquire lock|got (?:lock request )?timeout|timeout after \d+ retries", re.I),
        errors.Busy,
        "another writer or a slow guest",
    ),
    (re.compile(r"hotplug problem", re.I), errors.Rejected, "left pending by PVE; the other keys were applied"),
    (
        re.compile(r"^only root can|only root@pam can|only root may|^root-only command", re.I),
        errors.Rejected,
        "root over SSH may",
    ),
)


def from_answer(error: ResourceException, what: str, *, writes: bool, remedy: str = "") -> errors.TransomError:
    """The error for an answer of 400 and above; ``what`` names the request, ``writes`` whether it may have changed something,
    ``remedy`` the way out when the login is refused."""
    status = int(error.status_code)
    text = " ".join(str(error.content or error.status_message or "").split())
    fields = _fields(error.errors)
    said = f"{what}: {status} {text}".rstrip()
    if status == 401:
        return errors.Denied(said, hint=remedy)
    if status == 403:
        return errors.Denied(said, hint=RIGHTS_HINT)
    if status in _GATEWAY:
        return _unreachable(said, unsure=writes)
    if fields:
        said += "".join(f"; {name}: {reason}" for name, reason in sorted(fields.items()))
    kind, hint = judge(" ".join([text, *fields.values()]))
    if kind is errors.Rejected:
        return errors.Rejected(said, hint=hint, fields=fields)
    if kind is errors.Unreachable:
        return _unreachable(f"{said} ({hint})", unsure=writes)
    return kind(said, hint=hint)


def judge(text: str) -> tuple[type[errors.TransomError], str]:
    """The class and the hint for a failure that PVE told in words: an answer's message or a task's exit status."""
    for pattern, kind, hint in _TEXTS:
        if pattern.search(text):
            return kind, hint
    return errors.Rejected, ""


def from_line(error: httpx.RequestError, what: str, *, writes: bool) -> errors.TransomError:
    """The error for a request without an answer."""
    refused = certificate_error(error)
    if refused is not None:
        return errors.Denied(f"{what}: certificate refused: {refused.verify_message or refused}")
    if isinstance(error, httpx.DecodingError):
        return errors.Garbled(f"{what}: {error}")
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if not sent and (known := _no_way(error)):
        reason, hint = known
        return errors.Unreachable(f"{what}: {reason}", hint=hint)
    reason = str(error) or type(error).__name__
    return _unreachable(f"{what}: {reason}", unsure=writes and sent)


def _no_way(error: BaseException | None) -> tuple[str, str] | None:
    """In words why no connection was made, and the way out, where the system told why."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return (
                "the name of the host is not known",
                "is it right in api.endpoints, and does this machine resolve it?",
            )
        if isinstance(error, OSError) and error.errno in _NO_WAY:
            return _NO_WAY[error.errno]
        error = error.__cause__ or error.__context__
    return None


def _unreachable(said: str, *, unsure: bool) -> errors.Unreachable:
    error = errors.Unreachable(said, hint=_WRITE_HINT if unsure else "")
    error.unsure = unsure
    return error


def certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate behind ``error``, if that is what it is."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _fields(told: object) -> dict[str, str]:
    if not isinstance(told, dict):
        return {}
    return {str(name): " ".join(str(reason).split()) for name, reason in told.items()}
