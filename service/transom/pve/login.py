"""How a session proves who it is: by an API token, or by a user's ticket, which runs out and is renewed.

A ticket is good for two hours. It is renewed by posting it as the password, and when that is too late (an idle daemon), or the
server refuses it, the user logs in anew. The second factor's code is never used twice.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.twofactor import totp

from transom import errors
from transom.pve import outside, secret
from transom.spec import wish

ROOT = "root@pam"
LIFETIME = 2 * 3600
_RENEW = LIFETIME / 2
_LATE = LIFETIME - 300
"""Seconds after which a ticket is not renewed any more: the clock of the server decides, and it is not ours."""
_PERIOD = 30
"""Seconds that a code of the second factor is for (RFC 6238)."""
_QUIET = 60
"""Seconds without another try after a refusal: PVE locks a user's second factor after too many."""

Post = Callable[[Mapping[str, str]], tuple[int, bytes]]
"""Sends a form to ``/access/ticket``; the status and the body. Raises as the line does."""


class Login(Protocol):
    """Who asks."""

    @property
    def user(self) -> str:
        """``user@realm``, with ``!name`` for a token."""

    @property
    def remedy(self) -> str:
        """What to look at when the server refuses it: who, and where the secret comes from."""

    def headers(self, post: Post, *, writes: bool) -> dict[str, str]:
        """What proves it. Denied when there is nothing that does."""

    def refused(self, headers: Mapping[str, str]) -> bool:
        """The server answered 401 to ``headers``: whether others may be asked for."""


class Token:
    """An API token: one header, always the same."""

    def __init__(self, token_id: str, ref: wish.SecretRef) -> None:
        self.user = token_id
        value = secret.word(ref, "an API token's secret", "one word, as pveum printed it")
        self._headers = {"Authorization": f"PVEAPIToken={token_id}={value}"}
        self.remedy = (
            f"the API token {token_id} is refused; its secret comes from {secret.place(ref)}; "
            f"on the node `pveum user token list {token_id.partition('!')[0]}` tells whether it is there and has not expired"
        )

    def headers(self, post: Post, *, writes: bool) -> dict[str, str]:
        """Nothing is posted."""
        del post, writes
        return dict(self._headers)

    def refused(self, headers: Mapping[str, str]) -> bool:
        """There is no other."""
        del headers
        return False


@dataclasses.dataclass(frozen=True)
class _Held:
    """A ticket that was given at ``at`` (seconds that only rise)."""

    ticket: str = dataclasses.field(repr=False)
    csrf: str = dataclasses.field(repr=False)
    at: float


class Ticket:
    """A user's ticket, shared by all sessions of the process. Thread-safe: one logs in, the others wait for it."""

    def __init__(self, ref: wish.TicketRef, world: outside.Outside) -> None:
        self.user = ref.user
        self.remedy = f"the login of {ref.user} is refused; its password comes from {secret.place(ref.password)}"
        self._ref = ref
        self._world = world
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._step = 0
        """The last period whose code was used."""
        self._denied: tuple[float, str] | None = None

    def headers(self, post: Post, *, writes: bool) -> dict[str, str]:
        """The cookie, and what writes need beside it. Denied when the login is refused; Unreachable and Garbled as it comes."""
        with self._lock:
            held = self._held = self._valid(post)
        found = {"Cookie": f"PVEAuthCookie={urllib.parse.quote(held.ticket, safe='')}"}
        return {**found, "CSRFPreventionToken": held.csrf} if writes else found

    def refused(self, headers: Mapping[str, str]) -> bool:
        """True when the ticket had run out: it is forgotten. One that was just made will not get better."""
        with self._lock:
            held = self._held
            if held is None or urllib.parse.quote(held.ticket, safe="") not in headers.get("Cookie", ""):
                return True
            self._held = None
            return self._world.now() - held.at > _PERIOD

    def _valid(self, post: Post) -> _Held:
        held = self._held
        age = self._world.now() - held.at if held else LIFETIME
        if held and age < _RENEW:
            return held
        if held and age < _LATE:
            status, body = post(self._form(held.ticket))
            if status == 200:
                return self._keep(_read(body))
        return self._anew(post)

    def _anew(self, post: Post) -> _Held:
        if self._denied and self._world.now() < self._denied[0]:
            raise errors.Denied(f"{self._denied[1]}; not tried again within a minute")
        try:
            return self._keep(self._log_in(post))
        except errors.Denied as error:
            self._denied = (self._world.now() + _QUIET, str(error))
            raise

    def _log_in(self, post: Post) -> dict[str, Any]:
        answer = self._password(post)
        if not answer.get("NeedTFA"):
            return answer
        if self._ref.totp is None:
            raise errors.Denied(f"{self.user} has a second factor", hint="name its secret in api.ticket.totp")
        for _ in range(2):
            form = {**self._form(f"totp:{self._code()}"), "tfa-challenge": _text(answer, "ticket")}
            status, body = post(form)
            if status == 200:
                return _read(body)
            _not_broken(status, self.user)
            # Another process may have used this very code; the next one is nobody's yet.
            answer = self._password(post)
        raise errors.Denied(
            f"the second factor of {self.user} is refused", hint="is the secret the user's, and the clock right?"
        )

    def _password(self, post: Post) -> dict[str, Any]:
        status, body = post(self._form(secret.line(self._ref.password, f"the password of {self.user}")))
        if status != 200:
            _not_broken(status, self.user)
            raise errors.Denied(
                f"the login of {self.user} is refused ({status})", hint=f"see {secret.place(self._ref.password)}"
            )
        return _read(body)

    def _form(self, password: str) -> dict[str, str]:
        # new-format: what PVE 7 needs to speak of second factors as later ones do.
        return {"username": self.user, "password": password, "new-format": "1"}

    def _code(self) -> str:
        """The code of the first period that none was used of."""
        assert self._ref.totp is not None
        key = secret.base32(self._ref.totp, f"the TOTP secret of {self.user}")
        step = int(self._world.wall() // _PERIOD)
        if step <= self._step:
            self._world.sleep(max(0.0, (self._step + 1) * _PERIOD - self._world.wall()))
            step = max(self._step + 1, int(self._world.wall() // _PERIOD))
        self._step = step
        # SHA-1, six digits: what PVE sets up. Shorter keys than RFC 4226 asks for are in use.
        codes = totp.TOTP(key, 6, hashes.SHA1(), _PERIOD, enforce_key_length=False)
        return codes.generate(step * _PERIOD).decode()

    def _keep(self, answer: dict[str, Any]) -> _Held:
        if answer.get("NeedTFA"):
            raise errors.Denied(f"the ticket of {self.user} still wants a second factor")
        self._denied = None
        return _Held(_text(answer, "ticket"), _text(answer, "CSRFPreventionToken"), self._world.now())


def _not_broken(status: int, user: str) -> None:
    """A refusal is 401 (or 400, 403); anything else says nothing about the password."""
    if status not in (400, 401, 403):
        raise errors.Unreachable(f"the login of {user}: {status}")


def _read(body: bytes) -> dict[str, Any]:
    """The data of an answer. Nothing of it is ever shown: it holds the ticket."""
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise errors.Garbled("the answer to a login is not understood")
    return data


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise errors.Garbled(f"the answer to a login has no {name}")
    return value
