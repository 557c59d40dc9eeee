"""Reading a request's body within bounds of size and time, and parsing it by its media type."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
from starlette import requests

from transom.api import problem

LIMIT = 4 * 2**20
"""Bytes. A document is a few kilobytes; the loader's own limit is twice this."""
PATIENCE = 20.0
"""Seconds for the whole body to arrive."""
LONGEST = 900.0
"""Seconds for a large one."""
BYTES = "application/octet-stream"

JSON = "application/json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


async def read(request: requests.Request, *, limit: int = LIMIT, patience: float = PATIENCE) -> bytes:
    """The whole body. Problem 413 when it is larger than ``limit``, 408 when it takes longer than ``patience`` seconds."""
    _refuse_encoded(request)
    if int(request.headers.get("content-length", "0")) > limit:  # h11 has seen to it that this is a number
        raise too_large(limit)
    data = bytearray()
    try:
        with anyio.fail_after(patience):
            async for chunk in request.stream():
                data += chunk
                if len(data) > limit:
                    raise too_large(limit)
    except TimeoutError:
        raise problem.Problem(408, "request-timeout", f"the body took longer than {patience:g} s") from None
    return bytes(data)


async def chunks(
    request: requests.Request, *, patience: float = PATIENCE, longest: float = LONGEST
) -> AsyncIterator[bytes]:
    """A large body, piece by piece. Problem 408 when no piece comes for ``patience`` seconds, or all take ``longest``."""
    _refuse_encoded(request)
    stream, until = request.stream(), anyio.current_time() + longest
    while True:
        try:
            with anyio.fail_after(min(patience, until - anyio.current_time())):
                piece = await anext(stream, None)
        except TimeoutError:
            raise problem.Problem(408, "request-timeout", "the body came too slowly") from None
        if piece is None:
            return
        yield piece


def media(request: requests.Request) -> str:
    """The media type without parameters, lower case; empty when none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise problem.bad_request(f"the body is not UTF-8 text (byte {error.start})") from None


def parse_json(data: bytes) -> Any:
    """Problem 400 when it is no JSON; numbers that JSON does not have, and keys given twice, are refused."""
    try:
        return json.loads(text(data), parse_constant=_no_constant, object_pairs_hook=_no_twice)
    except RecursionError:
        raise problem.bad_request("the JSON is nested too deep") from None
    except ValueError as error:
        raise problem.bad_request(f"the body is no JSON: {error}") from None


def unsupported(*wanted: str) -> problem.Problem:
    return problem.Problem(
        415, "unsupported-media-type", f"send {' or '.join(wanted)}", headers={"Accept": ", ".join(wanted)}
    )


def _refuse_encoded(request: requests.Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise problem.Problem(415, "unsupported-media-type", "send the body as it is, not compressed")


def too_large(limit: int) -> problem.Problem:
    return problem.Problem(
        413, "content-too-large", f"the body is larger than {limit} bytes", headers={"Connection": "close"}
    )


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{sorted({name for name in names if names.count(name) > 1})[0]!r} is given twice")
    return found
