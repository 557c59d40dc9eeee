"""Files from the web, by their hash: what was half fetched is gone on with, what does not hash to what was said is not kept."""

from __future__ import annotations

import hashlib
import pathlib
import re
import time
import urllib.parse
from collections.abc import Callable

import httpx

from transom import errors

_REDIRECTS = 5
_TRIES = 3
"""Connections in a row that may break off before a later turn goes on."""
_PATIENCE = httpx.Timeout(30.0)
_LONGEST = 3600.0
"""Seconds for one connection, however busily it trickles."""
_LEAST, _WITHIN = 64 * 2**10, 60.0
"""Bytes that must come within so many seconds, over however many connections: meanwhile others wait for the worker."""

Progress = Callable[[int, int | None], None]
"""(bytes there, bytes in all where that is known)"""


def fetch(
    url: str,
    sha256: str,
    partial: pathlib.Path,
    *,
    limit: int,
    progress: Progress,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Fill ``partial`` with the bytes that hash to ``sha256``; it may hold a beginning of them.

    Unreachable when the server does not answer, breaks off or is too slow, Rejected when it refuses; RomError when what comes is
    too large or something else: then nothing is left.
    """
    pace = _Pace(url, partial.stat().st_size if partial.exists() else 0, clock)

    def told(done: int, total: int | None) -> None:
        progress(done, total)
        pace.keep(done)

    with httpx.Client(
        follow_redirects=True, max_redirects=_REDIRECTS, timeout=_PATIENCE, transport=transport
    ) as client:
        begun = partial.exists() and partial.stat().st_size > 0
        _continue(client, url, partial, limit, told)
        if _digest(partial) != sha256 and begun:  # what was there before may have been another file's beginning
            partial.unlink()
            _continue(client, url, partial, limit, told)
    if (found := _digest(partial)) != sha256:
        partial.unlink()
        raise errors.RomError(
            f"{shown(url)} has sha256 {found}, not {sha256}", hint="give the hash of the file that is there now"
        )


def shown(url: str) -> str:
    """Without the query, which may hold a secret."""
    return urllib.parse.urlsplit(url)._replace(query="", fragment="").geturl()


class _Pace:
    """The least speed."""

    def __init__(self, url: str, done: int, clock: Callable[[], float]) -> None:
        self._url, self._done, self._clock = url, done, clock
        self._since, self._came = clock(), 0

    def keep(self, done: int) -> None:
        """``done`` bytes are there. Unreachable when they come too slowly."""
        self._came += max(0, done - self._done)  # a server that knows no ranges begins again
        self._done = done
        took = self._clock() - self._since
        if took < _WITHIN:
            return
        if self._came < _LEAST:
            raise errors.Unreachable(f"{shown(self._url)}: too slow, {self._came} bytes in {took:.0f} s")
        self._since, self._came = self._since + took, 0


def _continue(client: httpx.Client, url: str, partial: pathlib.Path, limit: int, progress: Progress) -> None:
    """To the end, over as many connections as it takes; each that brings something counts anew."""
    left = _TRIES
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            _once(client, url, partial, limit, progress)
        except httpx.UnsupportedProtocol as error:  # a redirect to file:, which is no trouble of the line
            raise errors.Rejected(
                f"{shown(url)}: {error}", hint="give an http or https URL of the file itself"
            ) from error
        except httpx.TransportError as error:
            after = partial.stat().st_size if partial.exists() else 0
            left = _TRIES - 1 if after > before else left - 1
            if left <= 0:
                raise errors.Unreachable(f"{shown(url)}: {error or type(error).__name__}") from error
        except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.DecodingError) as error:
            raise errors.Rejected(f"{shown(url)}: {error}") from error
        else:
            return


def _once(client: httpx.Client, url: str, partial: pathlib.Path, limit: int, progress: Progress) -> None:
    start, until = partial.stat().st_size if partial.exists() else 0, time.monotonic() + _LONGEST
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # all of it is there, or it is not what is wanted: the hash tells
        _check(answer, url)
        if not _goes_on(answer, start):
            start = 0
        total = _total(answer, start)
        if total is not None and total > limit:
            raise _too_large(url, limit)
        with partial.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.truncate()
            for chunk in answer.iter_raw():
                start += len(chunk)
                if start > limit:
                    stream.close()
                    partial.unlink()
                    raise _too_large(url, limit)
                stream.write(chunk)
                progress(start, total)
                if time.monotonic() > until:
                    raise errors.Unreachable(f"{shown(url)}: still not here after {_LONGEST:g} s")


def _check(answer: httpx.Response, url: str) -> None:
    if answer.is_success:
        return
    said = f"{shown(url)} answered {answer.status_code} {answer.reason_phrase}"
    if answer.status_code >= 500 or answer.status_code in (408, 429):
        raise errors.Unreachable(said)
    raise errors.Rejected(said, hint="look at the URL; a file that needs a login is uploaded with transom rom push")


def _goes_on(answer: httpx.Response, start: int) -> bool:
    """Whether what comes follows on what is there; a server may always send the whole."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("content-range", ""))
    return answer.status_code == httpx.codes.PARTIAL_CONTENT and found is not None and int(found[1]) == start


def _total(answer: httpx.Response, start: int) -> int | None:
    length = answer.headers.get("content-length", "")
    return start + int(length) if length.isascii() and length.isdigit() else None


def _too_large(url: str, limit: int) -> errors.RomError:
    return errors.RomError(f"{shown(url)} is larger than {limit} bytes")


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
