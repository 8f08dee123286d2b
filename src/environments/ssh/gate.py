"""A door from inside a host that is reached over SSH: its sshd listens there, and passes on what it hears."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from environments.errors import Unavailable
from environments.ssh.connection import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from environments.attendant import AttendedControl
    from environments.ssh.address import SshHost
    from environments.types import Process

__all__ = ["SshGate"]


class SshGate:
    """Asks the sshd of a host to forward one of its loopback ports, over a connection of the gate's own.

    Args:
        login: the agent's.
        control: tells who calls.
    """

    def __init__(self, login: SshHost, control: AttendedControl) -> None:
        self._login = login
        self._control = control
        self._port = 0
        self._origins: dict[bytes, int] = {}
        """Name of our end of a connection that was passed on -> the far end's port."""

    @asynccontextmanager
    async def open(self, port: int) -> AsyncGenerator[socket.socket, None]:
        """Yield a listening socket that hears what is said to 127.0.0.1:`port` there; see `Gate.open`."""
        async with AsyncExitStack() as stack:
            folder = tempfile.mkdtemp(prefix="gate-")  # nobody else may look into it
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.setblocking(False)
            listener.bind(place := str(Path(folder, "door")))
            listener.listen(128)
            connection = await Connection.open(self._login)
            stack.push_async_callback(connection.aclose)

            def heard(origin: int) -> Callable[[Any, Any], Awaitable[None]]:
                return lambda reader, writer: self._pass_on(place, origin, reader, writer)

            self._port = port
            await _forwarded(connection, port, heard, place=self._login.place)
            yield listener

    async def _pass_on(self, place: str, origin: int, reader: Any, writer: Any) -> None:
        """Carry one connection between the host and the listener until both sides have said all."""
        here = socket.socket(socket.AF_UNIX)
        here.setblocking(False)
        here.bind("")  # the kernel gives it a name, by which the other end knows it
        self._origins[name := here.getsockname()] = origin
        try:
            await asyncio.get_running_loop().sock_connect(here, place)
            ours, out = await asyncio.open_unix_connection(sock=here)
            try:
                await asyncio.gather(_pump(reader, out), _pump(ours, writer))
            finally:
                out.close()
        except OSError:  # one side is gone, and so is what it would have said
            here.close()
        finally:
            del self._origins[name]
            writer.close()

    async def caller(self, connection: socket.socket) -> Process | None:
        """Return the process at the host's end; see `Gate.caller`."""
        origin = self._origins.get(connection.getpeername())
        return None if origin is None else await self._control.caller(origin, self._port)


async def _pump(source: Any, target: Any) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


async def _forwarded(connection: Connection, port: int, heard: Any, *, place: str) -> None:
    """Have the port forwarded.

    Raises:
        OSError: something on the host has it.
        Unavailable: the host forwards none.
    """
    try:
        await connection.listen(port, heard)
    except OSError as refused:
        try:
            other = await connection.listen(0, heard)
        except OSError:
            raise Unavailable(
                f"{place}: its sshd forwards no port to us, so no program there can reach the model",
                mend="set `AllowTcpForwarding remote` for the agent's login on the host",
            ) from refused
        other.close()
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(port)) from refused
