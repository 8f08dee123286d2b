"""Leads a port of this host's loopback to wherever a wire can be had from."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from environments.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from environments.wire import Wire

__all__ = ["led"]

_AT_ONCE = 1 << 16


@asynccontextmanager
async def led(dial: Callable[[], Awaitable[Wire]]) -> AsyncGenerator[int, None]:
    """Yield a port of 127.0.0.1 of which each connection is led through a wire of its own.

    Where there is no wire to be had, and where one side has said all, the connection is closed: what goes on
    is a request and its answer, of which half is worth nothing.

    Args:
        dial: returns such a wire.
    """
    under_way: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_lead(dial, reader, writer), name="connection that is led on")
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)


async def _lead(
    dial: Callable[[], Awaitable[Wire]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        with suppress(OSError, EnvironmentFault):
            wire = await dial()
            try:
                await _until_one_has_ended(_out(reader, wire), _back(wire, writer))
            finally:
                wire.close()
    finally:
        writer.close()


async def _until_one_has_ended(*ways: Awaitable[None]) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _out(reader: asyncio.StreamReader, wire: Wire) -> None:
    while data := await reader.read(_AT_ONCE):
        await wire.send(data)


async def _back(wire: Wire, writer: asyncio.StreamWriter) -> None:
    while data := await wire.receive():
        writer.write(data)
        await writer.drain()
