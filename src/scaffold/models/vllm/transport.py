"""The way to a server that may be started again while a call is under way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from scaffold.broker.turn import turn_under_way
from scaffold.models.transport import IDLE_S, HttpTransport, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from scaffold.models.transport import Answer, Buffer, Transport
    from scaffold.models.vllm.life import Running, Service

__all__ = ["ServedTransport"]

_NOTICED_S = 3.0
_ASKED_EVERY_S, _MOST_ASKED = 0.5, 60
"""Until a server that broke a call off has answered or ended: what it leaves behind is ended before that."""
_SERVER_FAULTS = range(500, 600)


class ServedTransport:
    """Posts to whatever life the server is in; a call that its death broke off is made again in the next."""

    def __init__(self, service: Service, stack: AsyncExitStack, *, timeout_s: float, idle_s: float) -> None:
        self._service = service
        self._stack = stack
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._ways: dict[int, asyncio.Task[HttpTransport]] = {}
        self.address = f"vLLM ({service.server.name})"

    @classmethod
    @asynccontextmanager
    async def open(
        cls, service: Service, *, timeout_s: float, idle_s: float = IDLE_S
    ) -> AsyncIterator[ServedTransport]:
        """Open the way.

        Args:
            service: the server, whichever life it is in.
            timeout_s: for one request, a restart it waits for not counted.
            idle_s: between two pieces of an answer that comes in pieces.
        """
        async with AsyncExitStack() as stack:
            yield cls(service, stack, timeout_s=timeout_s, idle_s=idle_s)

    async def post(self, path: str, body: Buffer, /) -> Answer:
        """Send a JSON body to a path of the API; see `Transport.post`.

        Raises:
            ModelFailed: the server is dead and will not be started again.
        """
        return await self._through(lambda way: way.post(path, body))

    async def get(self, path: str, /) -> Answer:
        """Fetch a path of the API; see `Transport.get`."""
        return await self._through(lambda way: way.get(path))

    def at_root(self) -> Transport:
        """The same server, above the `/v1` of the address."""
        return _AtRoot(self._through, self.address)

    async def _through(self, ask: Callable[[HttpTransport], Awaitable[Answer]]) -> Answer:
        over = 0
        while True:
            running = self._service.running_now(after=over)
            if running is None:
                with turn_under_way().pausing():  # that its server died is not the agent's doing
                    running = await self._service.running(after=over)
            way = await self._way(running)
            try:
                answer = await ask(way)
            except Unreachable:
                if not await _died(running, way):
                    raise
            else:
                # An engine that dies is told of by an error before the server ends.
                if answer.status not in _SERVER_FAULTS or not await _over_within(_NOTICED_S, running):
                    return answer
            over = running.number

    async def _way(self, running: Running) -> HttpTransport:
        way = self._ways.get(running.number)
        if way is None:
            way = self._ways[running.number] = asyncio.ensure_future(self._open(running))
        return await asyncio.shield(way)

    async def _open(self, running: Running) -> HttpTransport:
        headers = {"Authorization": f"Bearer {running.key}"}
        return await self._stack.enter_async_context(
            HttpTransport.open(running.url, headers=headers, timeout_s=self._timeout_s, idle_s=self._idle_s)
        )


class _AtRoot:
    def __init__(
        self,
        through: Callable[[Callable[[HttpTransport], Awaitable[Answer]]], Awaitable[Answer]],
        address: str,
    ) -> None:
        self._through = through
        self.address = address

    async def post(self, path: str, body: Buffer, /) -> Answer:
        return await self._through(lambda way: way.at_root().post(path, body))

    async def get(self, path: str, /) -> Answer:
        return await self._through(lambda way: way.at_root().get(path))


async def _died(running: Running, way: HttpTransport) -> bool:
    """Wait until it is known whether a server that broke a call off lives. To end takes a while."""
    asked = 0
    while not await _over_within(_ASKED_EVERY_S, running) and asked < _MOST_ASKED:
        asked += 1
        with suppress(Unreachable, TimeoutError):
            async with asyncio.timeout(_NOTICED_S):
                await way.get("/models")
                return running.over.is_set()
    return running.over.is_set()


async def _over_within(seconds: float, running: Running) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await running.over.wait()
    return running.over.is_set()
