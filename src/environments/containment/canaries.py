"""Sockets that redline opens on its own host to find out whether a machine can reach it.

Only who says the word that a canary was opened with is heard: whoever else calls, calls from elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

__all__ = ["Canaries", "addresses_of_host", "canaries_on"]

_MOST_ADDRESSES = 16
_MOST_WORDS = 64


@dataclass(eq=False)
class Canaries:
    """Open sockets, and what they heard."""

    word: str = field(default_factory=lambda: secrets.token_hex(8))
    sockets: list[tuple[str, str, int]] = field(default_factory=list)
    """Protocol, address and port of each."""
    callers: list[asyncio.Transport] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)

    def doors(self, *, seen_as: str | None = None) -> list[tuple[str, str, int, str]]:
        """Return what a knocker needs to know.

        Args:
            seen_as: the address under which the machine would find them, where it is another.
        """
        return [(kind, seen_as or address, port, self.word) for kind, address, port in self.sockets]

    async def listen(self, opened: socket.socket, name: str) -> asyncio.Server:
        """Listen on a socket that is bound already, in whatever network."""
        address, port = opened.getsockname()[:2]
        # Started apart: cancelled in one go with its making, it would be open and nobody's.
        server = await asyncio.get_running_loop().create_server(
            partial(_Listening, self, name), sock=opened, start_serving=False
        )
        try:
            await server.start_serving()
        except BaseException:
            server.close()
            raise
        self.sockets.append(("TCP", address, port))
        return server


class _Listening(asyncio.Protocol):
    def __init__(self, canaries: Canaries, name: str) -> None:
        self._canaries, self._name = canaries, name
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._canaries.callers.append(self._transport)

    def data_received(self, data: bytes) -> None:
        self._said = (self._said + data)[:_MOST_WORDS]
        if self._said == self._canaries.word.encode():
            self._canaries.heard.add(self._name)
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


def addresses_of_host() -> list[str]:
    """Return addresses that are this host's, its loopback ones included; link-local ones left out."""
    found: list[str] = []
    lines = Path("/proc/net/fib_trie").read_text().splitlines()
    for before, line in pairwise(lines):
        if line.split() == ["/32", "host", "LOCAL"]:
            found.append(before.split()[-1])
    sixth = Path("/proc/net/if_inet6")
    for line in sixth.read_text().splitlines() if sixth.exists() else ():
        address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
        if not address.is_link_local:
            found.append(str(address))
    return list(dict.fromkeys(found))[:_MOST_ADDRESSES]


@asynccontextmanager
async def canaries_on(addresses: Iterable[str]) -> AsyncGenerator[Canaries, None]:
    """Listen on those of the addresses that are this host's, by TCP and UDP, on ports the kernel chooses."""
    loop = asyncio.get_running_loop()
    canaries = Canaries()
    async with AsyncExitStack() as stack:
        for address in {text for text in addresses if _literal(text)}:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                with socket.socket(family) as opened:
                    opened.bind((address, 0))
                    opened.listen()
                    server = await canaries.listen(opened.dup(), f"TCP {address}")
                stack.callback(server.close)
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_Receiving, canaries, f"UDP {address}"), (address, 0)
                )
                stack.callback(transport.close)
            except OSError:  # not an address of this host
                continue
            port = transport.get_extra_info("socket").getsockname()[1]
            canaries.sockets.append(("UDP", address, port))
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
