"""What all hosts of the study's own programs have in common: they keep programs at the end of a wire."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from environments.errors import Unavailable
from environments.hosting.keeping import NotStarted, Order, kept
from environments.hosting.protocols import GRACE_S
from environments.loopbacks import TELL_LOOPBACK, sharing
from environments.types import ExecResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from environments.hosting.keeping import Kept
    from environments.wire import Wire

__all__ = ["KeepingHost"]

_MOST_SHOWN = 1 << 20
_LOOK_GRACE_S = 1.0
_FIND_PORT = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"


class KeepingHost(ABC):
    """A host of which all that is known is how to come by a wire that a keeper is started at the end of."""

    patience_s: float | None = None
    """Seconds a program goes on there with nothing heard from here; None where an end cannot be missed."""

    @property
    @abstractmethod
    def name(self) -> str:
        """See `Host.name`."""

    @abstractmethod
    async def _wire(self) -> Wire:
        """Return a wire at whose far end `BOOT_COMMAND` runs."""

    async def _cause(self, said: str) -> str:
        """Find out why a wire has ended, which said so much itself."""
        return said

    def _environ(self) -> Mapping[str, str]:
        """What programs are given besides what is there already."""
        return {}

    async def look(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> ExecResult:
        """Run a short command; see `Host.look`."""
        shown = _Shown()
        order = self._order(argv, {}, grace_s=_LOOK_GRACE_S)
        started = time.monotonic()
        status, timed_out = 0, False
        try:
            async with self._kept(order, shown.hear) as program:
                try:
                    async with asyncio.timeout(timeout_s):
                        status = await program.ended()
                except TimeoutError:
                    timed_out = True
            if timed_out:
                status = await program.ended()
        except NotStarted as fault:
            return ExecResult(status=fault.status, stderr=f"{fault}\n".encode())
        return ExecResult(
            status=status,
            stdout=bytes(shown.text[b"o"]),
            stderr=bytes(shown.text[b"e"]),
            timed_out=timed_out,
            dropped=shown.dropped,
            seconds=time.monotonic() - started,
        )

    async def free_port(self) -> int:
        """Find a port; see `Host.free_port`."""
        found = await self.look(["python3", "-I", "-S", "-c", _FIND_PORT])
        if not found.ok:
            raise Unavailable(f"{self.name}: no port can be had: {found.text.strip()[-200:]}")
        return int(found.stdout)

    @asynccontextmanager
    async def program(
        self, argv: Sequence[str], *, environ: Mapping[str, str], log: Path, grace_s: float = GRACE_S
    ) -> AsyncGenerator[Kept, None]:
        """Start a program; see `Host.program`."""
        order = self._order(argv, environ, grace_s=grace_s)
        loopback = await self._loopback()
        log.parent.mkdir(parents=True, exist_ok=True)
        with (
            sharing(loopback, "a program of the study's own", place=self.name),
            log.open("ab", buffering=0) as file,
        ):

            def heard(_: bytes, text: bytes) -> None:
                with suppress(OSError):  # a full disk here is no reason for the program to end
                    file.write(text)

            async with self._kept(order, heard) as program:
                yield program

    async def _loopback(self) -> str:
        found = await self.look(TELL_LOOPBACK)
        if not found.ok:
            raise Unavailable(f"{self.name}: its loopback interface is not told: {found.text.strip()[-200:]}")
        return found.stdout.decode()

    def _kept(self, order: Order, heard: Callable[[bytes, bytes], None]) -> AbstractAsyncContextManager[Kept]:
        return kept(self._wire, order, place=self.name, heard=heard, cause=self._cause)

    def _order(self, argv: Sequence[str], environ: Mapping[str, str], *, grace_s: float) -> Order:
        return Order(
            argv=argv,
            environ={**self._environ(), **environ},
            grace_s=grace_s,
            patience_s=self.patience_s,
        )


@dataclass(eq=False)
class _Shown:
    """What a command has printed, its beginning kept."""

    text: dict[bytes, bytearray] = field(default_factory=lambda: {b"o": bytearray(), b"e": bytearray()})
    dropped: int = 0

    def hear(self, kind: bytes, text: bytes) -> None:
        shown = text[: max(0, _MOST_SHOWN - len(self.text[kind]))]
        self.text[kind] += shown
        self.dropped += len(text) - len(shown)
