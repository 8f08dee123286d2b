"""A wire to a process on this host, which in turn leads into a machine: `podman exec`, `nsenter`, `ssh`."""

from __future__ import annotations

import os
import socket
from asyncio import get_running_loop
from typing import TYPE_CHECKING

from environments.processes import Child

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PipeWire"]


class PipeWire:
    """The standard input and output of a child; what it complains about is kept for whoever asks."""

    def __init__(self, argv: Sequence[str], *, pass_fds: tuple[int, ...] = ()) -> None:
        """Start the child.

        Args:
            argv: its command line.
            pass_fds: descriptors it gets besides, under their own numbers.

        Raises:
            FileNotFoundError: the program is not installed.
        """
        # A socket pair rather than two pipes: asyncio reads and writes it without a transport.
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._complaints = os.memfd_create("complaints", os.MFD_CLOEXEC)
        try:
            with theirs:
                end = theirs.fileno()
                self._child = Child(argv, stdin=end, stdout=end, stderr=self._complaints, pass_fds=pass_fds)
        except BaseException:
            self._ours.close()
            os.close(self._complaints)
            raise
        self._open = True

    @property
    def complaints(self) -> str:
        """What the child has said on standard error, up to 4 KiB of it."""
        return os.pread(self._complaints, 4096, 0).decode(errors="replace").strip() if self._open else ""

    async def send(self, data: bytes) -> None:
        """Hand bytes over; see `Wire.send`."""
        await get_running_loop().sock_sendall(self._ours, data)

    async def receive(self) -> bytes:
        """Return the next bytes; see `Wire.receive`."""
        return await get_running_loop().sock_recv(self._ours, 1 << 18)

    def close(self) -> None:
        """End the child."""
        if self._open:
            self._open = False
            self._ours.close()
            self._child.close()
            os.close(self._complaints)
