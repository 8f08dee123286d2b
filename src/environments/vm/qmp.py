"""QEMU's monitor: the only file that knows the QMP client."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from environments.errors import Broken, Unavailable

try:
    from qemu.qmp import EventListener, QMPClient, QMPError
    from qemu.qmp.qmp_client import ExecInterruptedError
except ImportError as error:
    raise Unavailable("the QMP client is not installed", mend="pip install 'redline[vm]'") from error

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from qemu.qmp import Message

__all__ = ["Monitor"]

_ANSWER_S = 30.0
_FAREWELL_S = 2.0

# What matters is raised; the client also logs each lost connection, which here is how a machine ends.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Monitor:
    """A connection to one emulator.

    Args:
        connection: a connected socket, owned from now on.
        heard: called with the name and the data of each event, in order.
    """

    def __init__(self, connection: socket.socket, *, heard: Callable[[str, dict[str, Any]], None]) -> None:
        self._connection = connection
        self._heard = heard
        self._client = QMPClient("machine")
        self._events = EventListener()
        self._client.register_listener(self._events)
        self._listening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    async def connect(self) -> None:
        """Say hello.

        Raises:
            Broken: nothing answered.
        """
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._client.connect(self._connection)
        except (QMPError, OSError, EOFError, TimeoutError) as error:
            raise Broken(f"the emulator's monitor does not answer: {error}", by_agent=False) from error
        self._listening = asyncio.create_task(self._listen(), name="machine's events")

    async def _listen(self) -> None:
        async for event in self._events:
            self._tell(event)

    def _tell(self, event: Message) -> None:
        data = event.get("data")
        self._heard(str(event["event"]), data if isinstance(data, dict) else {})

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a command of the monitor and return its answer.

        Args:
            command: its name.
            arguments: with `_` where the monitor has `-`.

        Raises:
            Broken: it was refused, or the emulator is gone.
        """
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            async with self._turn, asyncio.timeout(_ANSWER_S):
                return await self._client.execute(command, named or None)
        except (QMPError, ExecInterruptedError, OSError, TimeoutError) as error:
            raise Broken(f"the emulator did not {command}: {error}", by_agent=False) from error

    async def lend(self, fd: int, name: str) -> None:
        """Give the emulator a file of ours under a name.

        Raises:
            Broken: it was refused, or the emulator is gone.
        """
        try:
            self._client.send_fd_scm(fd)
        except (QMPError, OSError) as error:
            raise Broken(f"the emulator takes no file: {error}", by_agent=False) from error
        await self.execute("getfd", fdname=name)

    async def close(self) -> None:
        """Hear what is still to be heard from an emulator that has ended, and let go."""
        with suppress(QMPError, EOFError, OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._client.disconnect()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
            for event in self._events.clear():
                self._tell(event)
        self._connection.close()
