"""How the API refuses: one exception with PVE's status, text and per-parameter errors.

400 carries an `errors` map, 403 is a missing privilege, 401 a missing login, 500 everything else ("does not exist"
included), 501 no such path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn


class Refused(Exception):
    """An answer other than 200. `text` is PVE's message without its final newline."""

    def __init__(self, status: int, text: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.errors = dict(errors or {})

    @property
    def reason(self) -> str:
        """The reason phrase: only the first line of the message fits into it."""
        return self.text.split("\n", 1)[0]

    def as_death(self) -> str:
        """The words with which it ends a task: parameter and permission errors carry their number and details."""
        if self.status == 500:
            return self.text
        details = "".join(f"\n{name}: {self.errors[name]}" for name in sorted(self.errors))
        return f"{self.status} {self.text}{details}"


def die(text: str) -> NoReturn:
    """What Perl's `die` becomes: 500."""
    raise Refused(500, text)


def bad_parameters(errors: Mapping[str, str]) -> NoReturn:
    raise Refused(400, "Parameter verification failed.", errors)


def denied(what: str = "") -> NoReturn:
    raise Refused(403, f"Permission check failed ({what})" if what else "Permission check failed")


def unauthorized(text: str) -> NoReturn:
    raise Refused(401, text)
