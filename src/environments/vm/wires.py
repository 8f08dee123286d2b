"""The wire of the control handle: a virtual serial port of the machine, as a Unix socket of the emulator."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Port", "PortWire"]

_MOST = 1 << 18


class PortWire:
    """One connection to the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Hand bytes over; see `Wire.send`."""
        if self._writer.is_closing():
            raise OSError("the machine's port was closed")
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return the next bytes; see `Wire.receive`."""
        return await self._reader.read(_MOST)

    def close(self) -> None:
        """Let it go."""
        self._writer.transport.abort()


class Port:
    """Host's end of the port of one emulator.

    It is connected before the machine is started and whenever the machine was reset, so that a program that
    opens the machine's end finds somebody there.

    Args:
        path: where the socket is made.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self.listener = socket.socket(socket.AF_UNIX)
        """For the emulator."""
        self._ready: socket.socket | None = None
        self._wires: list[PortWire] = []
        try:
            self.listener.bind(str(path))
            self.listener.listen(1)
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        self._ready = socket.socket(socket.AF_UNIX)
        self._ready.setblocking(False)
        self._ready.connect(str(self._path))

    async def wire(self) -> PortWire:
        """Return the connection; one that was handed out before is closed.

        Raises:
            OSError: the emulator is gone.
        """
        if self._ready is None:
            self._cut()
            self._connect()
        ready, self._ready = self._ready, None
        wire = PortWire(*await asyncio.open_unix_connection(sock=ready, limit=_MOST))
        self._wires.append(wire)
        return wire

    def reconnect(self) -> None:
        """Begin anew: the machine's end was closed by a reset."""
        self._cut()
        if self._ready is not None:
            self._ready.close()
        self._connect()

    def _cut(self) -> None:
        for wire in self._wires:
            wire.close()
        self._wires.clear()

    def close(self) -> None:
        """Let go of everything."""
        self._cut()
        if self._ready is not None:
            self._ready.close()
        self.listener.close()
