"""The ASGI application made from the routes: who asks, what is asked, the handler in a thread, the answer."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import pydantic_core
from anyio import to_thread
from starlette import applications, exceptions, requests, responses, routing

from transom import errors
from transom.api import auth, body, feed, handed, openapi, problem, queries, route, routes, sse, wire
from transom.reconcile import backend

QUICK, SLOW = 32, 8
"""Threads for handlers that ask the store, and for those that ask nodes: these never keep the others waiting."""
QUEUE = 64
"""Requests that may wait for a thread; more are sent away."""
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_NOBODY = auth.Caller("", auth.Scope.VIEWER)


@dataclasses.dataclass(frozen=True)
class Service:
    """What the application is made of. ``now`` gives seconds since the epoch."""

    backend: backend.Backend
    gate: auth.Gate
    feed: feed.Feed
    now: Callable[[], float]


def make(service: Service) -> applications.Starlette:
    """The application; while it runs, the feed does."""
    server = _Server(service)
    by_path = itertools.groupby(sorted(routes.ALL, key=lambda one: one.path), key=lambda one: one.path)
    table = [server.resource(path, {one.method: one for one in found}) for path, found in by_path]
    table.append(_fixed(openapi.PATH, openapi.dump(routes.ALL)))

    @contextlib.asynccontextmanager
    async def lifespan(_: applications.Starlette) -> AsyncIterator[None]:
        service.feed.start()
        try:
            yield
        finally:
            service.feed.stop()

    return applications.Starlette(routes=table, lifespan=lifespan, exception_handlers=_HANDLERS)


class _Server:
    """Requests to routes, one after another through the same steps."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._quick, self._slow = anyio.CapacityLimiter(QUICK), anyio.CapacityLimiter(SLOW)

    def resource(self, path: str, ours: Mapping[str, route.Route]) -> routing.Route:
        """One path with all its methods, so that ``Allow`` names them all."""

        async def endpoint(request: requests.Request) -> responses.Response:
            return await self._serve(ours["GET" if request.method == "HEAD" else request.method], request)

        return routing.Route(path, endpoint, methods=list(ours))

    async def _serve(self, asked: route.Route, request: requests.Request) -> responses.Response:
        caller = await self._caller(asked, request)
        query = queries.parse(asked, request.query_params.multi_items())
        if asked.stream:
            last_id, node = request.headers.get("last-event-id"), query.get("node", "")
            return sse.respond(self._service.feed, last_id, node, allowed=lambda: self._allowed(asked, request))
        call = route.Call(
            backend=self._service.backend,
            caller=caller,
            path=request.path_params,
            query=query,
            headers=dict(request.headers),
            now=self._service.now(),
            body=await self._body(asked, request, query),
        )
        answer = await self._thread(self._slow if asked.slow else self._quick, asked.handle, call)
        return _send(answer, asked.status)

    async def _body(self, asked: route.Route, request: requests.Request, query: Mapping[str, str]) -> Any:
        if asked.body is route.Body.UPLOAD and body.media(request) != body.JSON:
            return await self._upload(request, query)
        return await _body(asked, request, query)

    async def _upload(self, request: requests.Request, query: Mapping[str, str]) -> route.Upload:
        """The file piece by piece to the disk; what does not come whole is gone."""
        if body.media(request) != body.BYTES:
            raise body.unsupported(body.BYTES, body.JSON)
        said = handed.upload(query)
        incoming: backend.Incoming = await self._thread(self._slow, lambda _: self._service.backend.receive(), None)
        with contextlib.ExitStack() as unless_whole:
            unless_whole.callback(incoming.drop)
            if int(request.headers.get("content-length", "0")) > incoming.limit:
                raise body.too_large(incoming.limit)
            size = 0
            async for piece in body.chunks(request):
                size += len(piece)
                if size > incoming.limit:
                    raise body.too_large(incoming.limit)
                await self._thread(self._quick, incoming.write, piece)
            unless_whole.pop_all()
        return route.Upload(said, incoming)

    async def _caller(self, asked: route.Route, request: requests.Request) -> auth.Caller:
        if asked.scope is None:
            return _NOBODY
        header = request.headers.get("authorization")
        caller: auth.Caller = await self._thread(self._quick, self._service.gate.caller, header)
        auth.require(caller, asked.scope)
        return caller

    async def _allowed(self, asked: route.Route, request: requests.Request) -> bool:
        """Whether the token of a stream that goes on still may."""
        try:
            await self._caller(asked, request)
        except problem.Problem as refused:
            return refused.status not in (401, 403)
        return True

    async def _thread(self, limiter: anyio.CapacityLimiter, do: Callable[[Any], Any], argument: Any) -> Any:
        if limiter.statistics().tasks_waiting >= QUEUE:
            raise problem.overloaded("too many requests at once")
        return await to_thread.run_sync(do, argument, limiter=limiter)


async def _body(asked: route.Route, request: requests.Request, query: Mapping[str, str]) -> Any:
    """What came, checked as the route wants it; an empty body is an empty object."""
    if asked.body is route.Body.NONE:
        return None
    data = await body.read(request)
    media = body.media(request)
    if asked.body is route.Body.DOCUMENTS:
        return handed.parse(data, media, query)
    if asked.body is route.Body.UPLOAD:
        return route.Upload(handed.model(wire.RomPush, body.parse_json(data)), None)
    if not data:
        return handed.model(asked.body, {})
    if media != body.JSON:
        raise body.unsupported(body.JSON)
    return handed.model(asked.body, body.parse_json(data))


def _send(answer: route.Answer, status: int) -> responses.Response:
    content = answer.value if isinstance(answer.value, bytes) else pydantic_core.to_json(answer.value)
    headers = {**_ALWAYS, **answer.headers}
    return responses.Response(content, answer.status or status, headers, answer.media)


def _fixed(path: str, content: bytes) -> routing.Route:
    async def endpoint(_: requests.Request) -> responses.Response:
        return _send(route.Answer(content), 200)

    return routing.Route(path, endpoint, methods=["GET"])


# --- what went wrong -------------------------------------------------------------------------------------------------


def _send_problem(said: problem.Problem) -> responses.Response:
    return responses.Response(said.body(), said.status, {**_ALWAYS, **said.headers}, problem.MEDIA)


async def _on_problem(_: requests.Request, error: Exception) -> responses.Response:
    assert isinstance(error, problem.Problem)
    return _send_problem(error)


async def _on_error(_: requests.Request, error: Exception) -> responses.Response:
    assert isinstance(error, errors.TransomError)
    return _send_problem(problem.of_error(error))


async def _on_http(_: requests.Request, error: Exception) -> responses.Response:
    assert isinstance(error, exceptions.HTTPException)
    return _send_problem(problem.plain(error.status_code, error.headers))


async def _on_mistake(_: requests.Request, error: Exception) -> responses.Response:
    del error  # Starlette raises it again when this is sent, so that the server logs it with its traceback
    return _send_problem(problem.internal())


_HANDLERS: Mapping[Any, Any] = {
    problem.Problem: _on_problem,
    errors.TransomError: _on_error,
    exceptions.HTTPException: _on_http,
    Exception: _on_mistake,
}
