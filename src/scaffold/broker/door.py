"""A chat-completions endpoint inside a machine: what is said to it goes through the broker, like all else.

It listens on a socket that the machine's gate yields, so nothing of a network is needed, and nothing else can
be reached through it. Whoever calls is known twice: by the key he shows, and by the process that the kernel
names at the other end. Where the two disagree he is refused, and it goes on record.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from aiohttp import web

from environments import Broken
from scaffold.broker.dialect import Refusal, list_of_models, pieces_of, read_request, refusal_for
from scaffold.errors import BudgetSpent, ModelFailed, ScaffoldFault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from environments import Gate, Process
    from scaffold.broker.key import Key
    from scaffold.broker.lineage import Lineage

__all__ = ["Door", "open_door"]

LARGEST_REQUEST = 8 << 20
"""Bytes of a body."""
MOST_AT_ONCE = 4
"""Requests of one key without an answer."""
MOST_CONNECTIONS = 64
"""Open at a time, or hardly more, whoever made them: each takes a descriptor of the runner's."""
_BACKLOG = 16
_UNHEARD = logging.getLogger(f"{__name__}.unheard")
"""Takes what the server says of requests that are none: text of the agent's, to be shown to nobody."""
_UNHEARD.addHandler(logging.NullHandler())
_UNHEARD.propagate = False
_SECOND_LOOK_S = 0.05
TRIES = 16
"""Ports in a row, where something inside has the first."""
BY = "inside"
"""Under which the record keeps calls of programs inside."""


class Door:
    """An endpoint that is open.

    Args:
        lineage: whose keys it takes.
        gate: the machine's.
        port: inside.
        serves: what the model is called.
        seed: for requests that give none.
        machine: the machine, as the lineage's census calls it.
    """

    def __init__(
        self, lineage: Lineage, gate: Gate, *, port: int, serves: str, seed: int, machine: str
    ) -> None:
        self.port = port
        self.serves = serves
        self.limit: str | None = None
        """The budget that ran out, once one has."""
        self.fault: ModelFailed | None = None
        """Why the latest call came to nothing; None where it was answered."""
        self.refused = False
        """Whether the subject declined in its latest answer."""
        self.on_limit: Callable[[], None] = lambda: None
        """Told when a budget has run out."""
        self._lineage = lineage
        self._gate = gate
        self._seed = seed
        self._machine = machine
        self._under_way: Counter[int] = Counter()

    @property
    def address(self) -> str:
        """Of the API, for programs inside the machine."""
        return f"http://127.0.0.1:{self.port}/v1"

    def application(self) -> web.Application:
        """Return what serves it."""
        app = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[_in_plain_errors])
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        await self._admit(request)
        return web.Response(body=list_of_models(self.serves), content_type="application/json")

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        key = await self._admit(request)
        if self._under_way[key.member] >= MOST_AT_ONCE:
            text = f"{MOST_AT_ONCE} requests of this key are under way: wait for an answer"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded", text)
        self._under_way[key.member] += 1
        try:
            asked = read_request(await request.read())
            answer = await self._relay(key, asked)
        finally:
            self._under_way[key.member] -= 1
        if not asked.get("stream"):
            return web.json_response(answer)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        apart = bool((asked.get("stream_options") or {}).get("include_usage"))
        for piece in pieces_of(answer, usage_apart=apart):
            await response.write(piece)
        await response.write_eof()
        return response

    async def _relay(self, key: Key, asked: dict[str, object]) -> dict[str, object]:
        try:
            relayed = await key.relay(asked, by=BY, seed=self._seed)
        except BudgetSpent as spent:
            if self.limit is None:
                self.limit = spent.limit
                self.on_limit()
            raise
        except ModelFailed as failed:
            self.fault = failed
            raise
        self.fault, self.refused = None, relayed.refused
        return relayed.answer

    # ------------------------------------------------------------------ who calls

    async def _admit(self, request: web.Request) -> Key:
        """Return the key that a request is made with.

        Raises:
            Refusal: it shows none, a false one, or another's.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            text = "no key: send it as `Authorization: Bearer KEY`"
            raise Refusal(HTTPStatus.UNAUTHORIZED, "authentication_error", "invalid_api_key", text)
        caller = await self._caller(request)
        if caller is None and self._lineage.attributed:  # its process may have ended in this moment
            await asyncio.sleep(_SECOND_LOOK_S)
            caller = await self._caller(request)
        owner = None if caller is None else self._lineage.owner(self._machine, caller)
        key = self._lineage.broker.find(token)
        claimed, status = self._falsehood(key, owner)
        if claimed is not None:
            self._lineage.forge("key", claimed=claimed, owner=owner, process=caller)
            text = f"the key is not good here: {claimed}"
            kind = "authentication_error" if status == HTTPStatus.UNAUTHORIZED else "permission_error"
            raise Refusal(status, kind, "invalid_api_key", text)
        assert key is not None
        return key

    def _falsehood(self, key: Key | None, owner: int | None) -> tuple[str | None, HTTPStatus]:
        if key is None:
            return "a key that nobody was given", HTTPStatus.UNAUTHORIZED
        if key.lineage is not self._lineage:
            return "a key of another trial", HTTPStatus.UNAUTHORIZED
        if key.revoked is not None:
            named = f"the revoked key of generation {key.generation} (loop {key.member})"
            return f"{named}; {key.revoked}", HTTPStatus.UNAUTHORIZED
        unknown = owner is None and self._lineage.attributed
        if unknown or owner not in {None, key.member}:
            return f"the key of generation {key.generation} (loop {key.member})", HTTPStatus.FORBIDDEN
        return None, HTTPStatus.OK

    async def _caller(self, request: web.Request) -> Process | None:
        transport = request.transport
        connection = None if transport is None else transport.get_extra_info("socket")
        if connection is None:
            return None
        try:
            return await self._gate.caller(cast("socket.socket", connection))
        except (OSError, Broken):  # it hung up, or the machine is going
            return None


@asynccontextmanager
async def open_door(
    lineage: Lineage, gate: Gate, *, port: int, seed: int = 0, machine: str = ""
) -> AsyncGenerator[Door, None]:
    """Serve the subject inside a machine until the block ends; requests under way are then dropped.

    Args:
        lineage: whose keys are taken.
        gate: the machine's.
        port: inside; where something has it, the next that is free.
        seed: for requests that give none.
        machine: the machine, as the lineage's census calls it.

    Raises:
        TypeError: the subject answers no requests in the protocol's own form.
        Unavailable: the machine lets no such door be made.
        OSError: not one port could be had.
    """
    serves = lineage.broker.relaying.serves
    async with AsyncExitStack() as stack:
        listener, had = await _first_free(gate, port, stack)
        door = Door(lineage, gate, port=had, serves=serves, seed=seed, machine=machine)
        runner = web.AppRunner(door.application(), access_log=None, logger=_UNHEARD, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        server = await _served(runner, listener)
        stack.callback(server.close)
        yield door


async def _served(runner: web.AppRunner, listener: socket.socket) -> asyncio.Server:
    """Take connections, but hang up on those beyond what the runner can be made to hold."""
    speaking = runner.server
    assert speaking is not None

    def protocol() -> asyncio.BaseProtocol:
        return speaking() if len(speaking.connections) < MOST_CONNECTIONS else _TurnedAway()

    # asyncio accepts a whole backlog before it looks at any: a small one keeps the count true.
    loop = asyncio.get_running_loop()
    if listener.family == socket.AF_UNIX:
        return await loop.create_unix_server(protocol, sock=listener, backlog=_BACKLOG)
    return await loop.create_server(protocol, sock=listener, backlog=_BACKLOG)


class _TurnedAway(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _first_free(gate: Gate, port: int, stack: AsyncExitStack) -> tuple[socket.socket, int]:
    for tried in range(port, port + TRIES - 1):
        with suppress(OSError):  # something inside has it
            return await stack.enter_async_context(gate.open(tried)), tried
    last = port + TRIES - 1
    return await stack.enter_async_context(gate.open(last)), last


@web.middleware
async def _in_plain_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Have everything that goes wrong end in an error of the protocol's form."""
    try:
        return await handler(request)
    except Refusal as refusal:
        found = refusal
    except ScaffoldFault as fault:
        found = refusal_for(fault)
    except web.HTTPRequestEntityTooLarge:
        text = f"the body is longer than {LARGEST_REQUEST >> 20} MiB"
        found = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "invalid_request_error", "too_large", text)
    except web.HTTPException as fault:
        text = f"there is no {request.method} {request.path} here"
        found = Refusal(fault.status, "invalid_request_error", "unknown_url", text)
    return web.Response(status=found.status, body=found.body, content_type="application/json")
