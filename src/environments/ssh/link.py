"""Keeps a host in reach: one connection at a time, made anew when it is lost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from environments.errors import LinkLost, Unavailable
from environments.ssh.connection import Connection
from environments.ssh.refusals import HostKeyRefused

if TYPE_CHECKING:
    from environments.ssh.address import SshHost
    from environments.wire import Wire

__all__ = ["Link"]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 3.0


class Link:
    """The way to one login on a host.

    Args:
        host: the login.
    """

    def __init__(self, host: SshHost) -> None:
        self._host = host
        self._connection: Connection | None = None
        self._more: list[Connection] = []
        self._mending = asyncio.Lock()
        self._closed = False

    @property
    def place(self) -> str:
        """Address and port, for messages."""
        return self._host.place

    @property
    def own_address(self) -> str:
        """This end's address on the way to the host; empty where it has none."""
        return self._connection.own_address if self._connection is not None else ""

    @property
    def user(self) -> str:
        """Whom the host let in."""
        return self._connection.user if self._connection is not None else self._host.user

    async def open(self) -> None:
        """Log in for the first time.

        Raises:
            Unavailable: the host does not let us in; the message says why.
        """
        self._connection = await Connection.open(self._host)

    async def wire(self, command: str) -> Wire:
        """Start a shell command on the host, logging in anew where that is needed.

        Raises:
            LinkLost: the host could not be reached within its patience, or is no longer itself.
        """
        reason: Exception | None = None
        pause_s = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(self._host.patience_s):
                while not self._closed:
                    try:
                        return await self._try(command)
                    except HostKeyRefused as fault:
                        raise LinkLost(str(fault)) from fault
                    except (Unavailable, OSError) as fault:
                        reason = fault
                    # Many links are lost together: they must not come back together.
                    await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  no secret
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            pass
        why = "it was closed" if self._closed else reason or "it does not answer"
        tried = f"tried for {self._host.patience_s:g} s"
        raise LinkLost(f"{self._host.place}: the link is lost, {tried}: {why}") from reason

    async def dial(self, port: int) -> Wire:
        """Connect to a port of the host; see `Connection.dial`.

        Raises:
            OSError: nothing listens there, or the host cannot be reached now.
            Unavailable: the host does not let us in any more.
        """
        return await (await self._live()).dial(port)

    async def _try(self, command: str) -> Wire:
        connection = await self._live()
        try:
            async with asyncio.timeout(self._host.connect_s):
                return await connection.wire(command)
        except TimeoutError:
            await connection.aclose()
            raise OSError("the SSH connection does not answer") from None
        except OSError:
            if connection.lost:
                raise
        # The host gives a connection no more channels (`MaxSessions`): this one gets a connection to itself.
        more = await Connection.open(self._host)
        self._more.append(more)
        return await more.wire(command)

    async def _live(self) -> Connection:
        """Return a connection that is not known to be lost."""
        async with self._mending:
            if self._connection is None or self._connection.lost:
                if self._connection is not None:
                    lost, self._connection = self._connection, None
                    await lost.aclose()
                self._connection = await Connection.open(self._host)
                if self._closed:
                    await self.aclose()
                    raise OSError("the link was closed")
            return self._connection

    async def aclose(self) -> None:
        """Log out."""
        self._closed = True
        for connection in (self._connection, *self._more):
            if connection is not None:
                await connection.aclose()
