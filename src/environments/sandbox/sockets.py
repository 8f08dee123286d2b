"""Connections into a machine's private network, made from the host.

A socket belongs to the network namespace it was made in, for good. So it is made there, and the talking is
done here. Root makes it by itself; for others a helper enters the namespace, makes sockets there and hands
them over. It starts with the first connection and ends with the machine.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from environments.errors import Broken
from environments.processes import Child, readable
from environments.sandbox.abroad import socket_in
from environments.sandbox.diagnosis import FAMILIES, KnownSocket, parse, request, request_one

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Dialer"]

_HELPER = """
import socket
channel = socket.socket(fileno=0)
while kind := channel.recv(1):
    tcp = kind == b"t"
    with socket.socket() if tcp else socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as made:
        socket.send_fds(channel, [b"."], [made.fileno()])
"""
_KINDS = {b"t": (socket.AF_INET, socket.SOCK_STREAM, 0), b"d": (socket.AF_NETLINK, socket.SOCK_RAW, 4)}
_MOST_BYTES = 1 << 20


class Dialer:
    """Makes connections in one network namespace.

    Args:
        user_namespace: path of a user namespace that may enter the network namespace; None where our own may.
        network_namespace: path of the machine's network namespace.
        started: told of the helper's process, which is to end with the machine.
    """

    def __init__(
        self,
        *,
        user_namespace: str | None,
        network_namespace: str,
        started: Callable[[int], None] = lambda _: None,
    ) -> None:
        user = (f"--user={user_namespace}", "--preserve-credentials") if user_namespace else ()
        self._enter = ("nsenter", *user, f"--net={network_namespace}", "--")
        self._network = network_namespace
        self._started = started
        self._by_ourselves = os.geteuid() == 0
        self._child: Child | None = None
        self._channel: socket.socket | None = None
        self._turn = asyncio.Lock()

    async def dial(self, port: int, payload: bytes, *, timeout_s: float) -> bytes | None:
        """Connect, send, and return what comes back up to its end, 1 MiB or the time-out.

        None where nothing accepts the connection.

        Raises:
            Broken: the machine's network could not be entered.
        """
        received = bytearray()
        connected = False
        connection = await self._socket(b"t")
        loop = asyncio.get_running_loop()
        with connection, suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(connection, ("127.0.0.1", port))
                connected = True
                await loop.sock_sendall(connection, payload)
                while len(received) < _MOST_BYTES and (chunk := await loop.sock_recv(connection, 1 << 16)):
                    received += chunk
        return bytes(received) if connected else None

    async def connect(self, address: str, port: int, *, timeout_s: float = 10.0) -> socket.socket:
        """Return a connected TCP socket; closing it is the caller's.

        Raises:
            OSError: nothing accepts the connection there, or not in time.
            Broken: the network could not be entered.
        """
        connection = await self._socket(b"t")
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def listen(self, port: int = 0, *, address: str = "127.0.0.1") -> socket.socket:
        """Return a socket that takes the connections made to an address of the machine's network.

        Args:
            port: 0 for one that is free.
            address: one of the network's own.

        Raises:
            OSError: something has the port already, or it is no address there.
            Broken: the machine's network could not be entered.
        """
        listener = await self._socket(b"t")
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
        return listener

    async def inode(self, *, source: tuple[str, int], target: tuple[str, int]) -> int | None:
        """Return the inode of the machine's TCP socket with these ends; None where it has none.

        Raises:
            Broken: the machine's network could not be entered.
        """
        loop = asyncio.get_running_loop()
        with await self._socket(b"d") as kernel:
            await loop.sock_sendall(kernel, request_one(source, target))
            try:
                found = [each for each in parse(await loop.sock_recv(kernel, 1 << 16)) if each is not None]
            except FileNotFoundError:
                return None
        return found[0].inode or None

    async def listening(self) -> list[KnownSocket]:
        """Return the TCP sockets of the machine that accept connections.

        Raises:
            Broken: the machine's network could not be entered.
        """
        found: list[KnownSocket] = []
        loop = asyncio.get_running_loop()
        with await self._socket(b"d") as kernel:
            for family in FAMILIES:
                await loop.sock_sendall(kernel, request(family))
                ended = False
                while not ended:
                    for answer in parse(await loop.sock_recv(kernel, 1 << 16)):
                        if answer is None:
                            ended = True
                        else:
                            found.append(answer)
        return found

    async def _socket(self, kind: bytes) -> socket.socket:
        if self._by_ourselves:
            try:
                made = socket_in(self._network, *_KINDS[kind])
            except PermissionError:  # root of a container, say
                self._by_ourselves = False
            except OSError as error:
                raise Broken("the machine's network could not be entered", by_agent=False) from error
            else:
                made.setblocking(False)
                return made
        return await self._handed_over(kind)

    async def _handed_over(self, kind: bytes) -> socket.socket:
        async with self._turn:
            channel = self._channel or self._start()
            fds: list[int] = []
            try:
                with suppress(ConnectionError):
                    await asyncio.get_running_loop().sock_sendall(channel, kind)
                    await readable(channel.fileno())
                    _, fds, _, _ = socket.recv_fds(channel, 1, 1)
            finally:
                if not fds:  # gone, or cancelled: an answer that comes late must not be taken for the next
                    self.close()
            if not fds:
                raise Broken("the machine's network could not be entered", by_agent=False)
        made = socket.socket(fileno=fds[0])
        made.setblocking(False)
        return made

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = Child(
                [*self._enter, sys.executable, "-I", "-S", "-c", _HELPER], stdin=theirs.fileno()
            )
        ours.setblocking(False)
        self._channel = ours
        self._started(self._child.pid)
        return ours

    def close(self) -> None:
        """End the helper."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._child is not None:
            self._child.close()
            self._child = None
