"""Saved states of one open machine."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from environments.vm.stay import Stay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from environments.types import Lease
    from environments.vm.machine import Saved

__all__ = ["MachineCheckpoints", "lease_of"]


class MachineCheckpoints:
    """Keeps states of a machine for as long as it is open.

    A state is the machine's memory in a file without a name, and the disks under it, which are not written
    any more; a fork reads them, and writes on a disk of its own.
    """

    def __init__(self, stay: Stay) -> None:
        self._stay = stay
        self._saved: dict[str, Saved] = {}
        self._turn = asyncio.Lock()

    async def save(self, name: str) -> None:
        """Keep the machine as it is now; see `Checkpoints.save`."""
        memory = os.open(tempfile.gettempdir(), os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        async with self._turn:
            try:
                saved = await self._stay.save(memory)
            finally:
                os.close(memory)
            if (older := self._saved.pop(name, None)) is not None:
                older.close()
            self._saved[name] = saved

    async def restore(self, name: str) -> None:
        """Put the machine back; see `Checkpoints.restore`."""
        async with self._turn:
            await self._stay.restore(self._saved[name])

    @asynccontextmanager
    async def fork(self, name: str, *, label: str) -> AsyncGenerator[Lease, None]:
        """Open another machine that starts from a saved state; see `Checkpoints.fork`."""
        origin = self._stay
        stay = Stay(origin.terms, label=label, origin=self._saved[name].copy(), keep=origin.keep)
        async with lease_of(stay) as lease:
            yield lease

    def close(self) -> None:
        """Forget what was saved."""
        for saved in self._saved.values():
            saved.close()
        self._saved.clear()


@asynccontextmanager
async def lease_of(stay: Stay) -> AsyncGenerator[Lease, None]:
    """Open a machine with the ability to save it, and end it on leaving."""
    checkpoints = MachineCheckpoints(stay)
    try:
        lease = await stay.begin()
        if stay.terms.hardware.hands:  # what was handed through cannot be saved
            yield lease
        else:
            yield replace(lease, checkpoints=checkpoints)
    finally:
        checkpoints.close()
        await stay.end()
