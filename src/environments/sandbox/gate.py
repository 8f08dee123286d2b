"""A door from inside a machine whose network namespace this host can make sockets in."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

    from environments.sandbox.procfs import MachineProc
    from environments.sandbox.sockets import Dialer
    from environments.types import Process

__all__ = ["NamespaceGate"]


class NamespaceGate:
    """Listens on the machine's own loopback interface; what accepts is here.

    Args:
        dialer: for the machine's network.
        proc: its processes.
    """

    def __init__(self, dialer: Dialer, proc: MachineProc) -> None:
        self._dialer = dialer
        self._proc = proc

    @asynccontextmanager
    async def open(self, port: int) -> AsyncGenerator[socket.socket, None]:
        """Yield a listening socket on 127.0.0.1:`port` of the machine; see `Gate.open`."""
        with await self._dialer.listen(port) as listener:
            yield listener

    async def caller(self, connection: socket.socket) -> Process | None:
        """Return the process that holds the other end; of several, the one that began last.

        A socket that was inherited or passed on speaks for whoever holds it, and so for the youngest.
        """
        ours, theirs = connection.getsockname(), connection.getpeername()
        inode = await self._dialer.inode(source=theirs, target=ours)
        if inode is None:
            return None
        held = []
        for pid in self._proc.holders().get(inode, ()):
            with suppress(OSError):  # ended meanwhile
                held.append(self._proc.process(pid))
        return max(held, key=lambda process: process.started, default=None)
