"""Tokens that are kept: made, listed, taken away, looked up. The secret is shown once and kept nowhere."""

from __future__ import annotations

import contextlib
import pathlib
import re
from collections.abc import Callable, Iterator

from transom import errors
from transom.api import auth
from transom.store import records, store

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Tokens:
    """The tokens of one store."""

    def __init__(self, kept: store.Store) -> None:
        self._kept = kept.tokens

    def add(self, name: str, scope: auth.Scope, *, at: float, random: Callable[[int], bytes]) -> str:
        """The new token's secret. Rejected when the name is taken or is none."""
        if not _NAME.fullmatch(name) or name == LOCAL:
            raise errors.Rejected(
                f"{name!r} cannot be a token's name", hint="lower-case letters, digits, . _ - and at most 63 of them"
            )
        secret = auth.mint(random)
        self._kept.add(records.Token(name, scope.word, auth.digest(secret), at))
        return secret

    def all(self) -> list[records.Token]:
        return self._kept.all()

    def remove(self, name: str) -> None:
        """It is refused from now on, also by a running daemon. Rejected when there is none."""
        if not self._kept.drop(name):
            raise errors.Rejected(f"there is no token {name!r}", hint="transom token ls lists them")

    def look_up(self, sha256: str) -> auth.Known | None:
        """For ``auth.Gate``."""
        found = self._kept.by_hash(sha256)
        return auth.Known(found.name, auth.WORDS[found.scope], found.sha256) if found else None


LOCAL = "local"
"""The name of the token that a daemon gives to the commands of its own user."""


@contextlib.contextmanager
def open_tokens(folder: pathlib.Path) -> Iterator[Tokens]:
    """Those of a state folder, whether a daemon works on it or not."""
    kept = store.open_store(folder)
    try:
        yield Tokens(kept)
    finally:
        kept.close()
