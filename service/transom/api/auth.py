"""Who asks, and what they may. Pure but for the look-up that is handed in.

A token is 256 random bits, so its plain SHA-256 is kept: there is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
import hmac
import re
from collections.abc import Callable

from transom.api import problem

PREFIX = "transom_"
"""So that a secret that leaked into a log or a repository can be found."""
SECRET_BYTES = 32
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9_~+/.=-]{1,200})")


class Scope(enum.IntEnum):
    """What a token may do; each includes those before it."""

    VIEWER = 1
    """Look."""
    OPERATOR = 2
    """Hand in documents, ask for scans and previews, pause: nothing of it changes a node by itself. What of documents does
    (policies) or shows secrets to somebody (``spec.reserved``) needs the next."""
    APPROVER = 3
    """Let changes happen: approve, reject, undo, resume, release."""
    ADMIN = 4
    """Delete."""

    @property
    def word(self) -> str:
        return self.name.lower()


WORDS = {scope.word: scope for scope in Scope}


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who asks: the token's name."""

    name: str
    scope: Scope


@dataclasses.dataclass(frozen=True)
class Known:
    """A token as it is kept."""

    name: str
    scope: Scope
    sha256: str


LookUp = Callable[[str], Known | None]
"""SHA-256 of a secret in hex → the token that has it."""


def mint(random: Callable[[int], bytes]) -> str:
    """A new secret; ``random`` gives as many unpredictable bytes as it is asked for."""
    return PREFIX + base64.urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=")


def digest(secret: str) -> str:
    """The form in which a secret is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Gate:
    """Tells callers from their ``Authorization`` header. ``local`` are tokens that live as long as this process."""

    def __init__(self, look_up: LookUp, local: tuple[Known, ...] = ()) -> None:
        self._look_up = look_up
        self._local = local

    def caller(self, header: str | None) -> Caller:
        """Problem 401 when there is no token, or none that is known."""
        if header is None:
            raise problem.unauthorized("this needs a token", given=False)
        found = _BEARER.fullmatch(header)
        known = self._known(digest(found[1])) if found else None
        if known is None:
            raise problem.unauthorized("the token is not known", given=True)
        return Caller(known.name, known.scope)

    def _known(self, sha256: str) -> Known | None:
        candidates = (*self._local, self._look_up(sha256))
        return next((one for one in candidates if one and hmac.compare_digest(one.sha256, sha256)), None)


def require(caller: Caller, scope: Scope) -> None:
    """Problem 403 when the caller's scope is too small."""
    if caller.scope < scope:
        raise problem.forbidden(f"token {caller.name!r} is {caller.scope.word}; this needs {scope.word}", scope.word)
