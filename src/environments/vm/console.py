"""A machine's serial console: kept in a file, and watched for the sign that the machine is up."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Console"]

_UP = re.compile(rb"redline: sshd listens ([0-9.]+) s after the kernel started\r?\n")
_MOST_BYTES = 4 << 20
_LINE = 4096


class Console:
    """Reads the console of one emulator for as long as it runs.

    Args:
        fd: read end of a pipe, owned from now on.
        log: file the output is added to, up to 4 MiB.
    """

    def __init__(self, fd: int, *, log: Path) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._log = log.open("ab")
        self._tail = b""
        self._came = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.times_up = 0
        """How often the machine has said that it is up."""
        self.up_s = 0.0
        """Seconds it took it the last time, by its own clock."""
        self.ended = False
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._fd)
            self.ended = True
        elif self._log.tell() < _MOST_BYTES:
            self._log.write(data)
            self._log.flush()
        self._tail += data
        for match in _UP.finditer(self._tail):
            self.times_up += 1
            self.up_s = float(match[1])
        self._tail = self._tail[self._tail.rfind(b"\n") + 1 :][-_LINE:]
        self._came.set()

    async def wait_until_up(self, times: int = 1) -> bool:
        """Wait until the machine has come up so many times; False where its console ends before."""
        while self.times_up < times and not self.ended:
            self._came.clear()
            await self._came.wait()
        return self.times_up >= times

    def close(self) -> None:
        """Stop reading."""
        self._loop.remove_reader(self._fd)
        self.ended = True
        self._came.set()
        os.close(self._fd)
        self._log.close()
