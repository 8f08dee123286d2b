"""Sockets that redline opens on its own host to find out whether a machine can reach it."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, Iterable

__all__ = ["Canaries", "canaries_on"]


@dataclass(eq=False)
class Canaries:
    """Open sockets, and what they heard."""

    word: str = field(default_factory=lambda: secrets.token_hex(8))
    sockets: list[tuple[str, str, int]] = field(default_factory=list)
    """Protocol, address and port of each."""
    callers: list[asyncio.Transport] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)

    def described(self) -> list[tuple[str, str, int, str]]:
        """Return what a knocker needs to know."""
        return [(*where, self.word) for where in self.sockets]


class _Listening(asyncio.Protocol):
    def __init__(self, canaries: Canaries, name: str) -> None:
        self._canaries, self._name = canaries, name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._canaries.heard.add(self._name)
        self._canaries.callers.append(self._transport)

    def data_received(self, data: bytes) -> None:
        if data == self._canaries.word.encode():
            self._transport.write(data)


class _Receiving(asyncio.DatagramProtocol):
    def __init__(self, canaries: Canaries, name: str) -> None:
        self._canaries, self._name = canaries, name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == self._canaries.word.encode():
            self._canaries.heard.add(self._name)
            self._transport.sendto(data, addr)


@asynccontextmanager
async def canaries_on(addresses: Iterable[str]) -> AsyncGenerator[Canaries, None]:
    """Listen on those of the addresses that are this host's, by TCP and UDP, on ports the kernel chooses."""
    loop = asyncio.get_running_loop()
    canaries = Canaries()
    async with AsyncExitStack() as stack:
        for address in {text for text in addresses if _literal(text)}:
            try:
                server = await loop.create_server(partial(_Listening, canaries, f"TCP {address}"), address, 0)
                stack.callback(server.close)
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_Receiving, canaries, f"UDP {address}"), (address, 0)
                )
                stack.callback(transport.close)
            except OSError:  # not an address of this host
                continue
            ports: list[socket.socket] = [server.sockets[0], transport.get_extra_info("socket")]
            for kind, opened in zip(("TCP", "UDP"), ports, strict=True):
                canaries.sockets.append((kind, address, opened.getsockname()[1]))
        try:
            yield canaries
        finally:
            for caller in canaries.callers:
                caller.abort()


def _literal(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
