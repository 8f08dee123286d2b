"""This end of a program that is kept somewhere; the far end is `far/keeper.py`."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from environments.endings import to_the_end
from environments.errors import Leaked, LinkLost, Unavailable
from environments.hosting.far.keeper import HEAD, MAGIC

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from environments.wire import Wire

__all__ = ["Kept", "NotStarted", "Order", "kept"]

_SETTLING_S = 20.0
"""Beyond its grace, for a program to be ended and that to be told."""
_BEATS = 5
"""In the time that the far side is patient."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be started and how it is to be ended."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    grace_s: float
    patience_s: float | None = None
    """Seconds of silence after which the far side takes us for gone; None where an end cannot be missed."""

    def as_program(self) -> bytes:
        """Return what is sent first to a wire that `BOOT_COMMAND` was started at the other end of."""
        fields = {
            "argv": list(self.argv),
            "environ": dict(self.environ),
            "grace_s": self.grace_s,
            "patience_s": self.patience_s,
        }
        text = f"{_keeper()}\nmain(json.loads({json.dumps(fields)!r}))\n".encode()
        return struct.pack(">I", len(text)) + text


@cache
def _keeper() -> str:
    return resources.files("environments.hosting").joinpath("far", "keeper.py").read_text()


class NotStarted(Unavailable):
    """The program could not be started, as opposed to its host not being reached."""

    def __init__(self, reason: str, *, mend: str, status: int) -> None:
        super().__init__(reason, mend=mend)
        self.status = status


class Kept:
    """One program, from its start to the proof that nothing of it is left.

    Args:
        wire: to a keeper that has not been told anything yet; owned from now on.
        order: what it is to do.
        place: names the host in messages.
        heard: given what the program prints, with `o` or `e` for standard output and standard error.
        cause: finds out why a host is gone, given what the wire said.
    """

    def __init__(
        self,
        wire: Wire,
        order: Order,
        *,
        place: str,
        heard: Callable[[bytes, bytes], None],
        cause: Callable[[str], Awaitable[str]],
    ) -> None:
        self._wire = wire
        self._order = order
        self._name = order.argv[0].rpartition("/")[2]
        self._place = place
        self._heard = heard
        self._cause = cause
        self._said = b""
        self._greeted = False
        self._turned = asyncio.Event()
        self._started = False
        self._status: int | None = None
        self._left: list[str] = []
        self._fault: Unavailable | LinkLost | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Have it started.

        Raises:
            Unavailable: it cannot be; the message says why.
            LinkLost: the host is gone.
        """
        self._tasks.append(asyncio.create_task(self._listen(), name=f"{self._name} at {self._place}"))
        with suppress(OSError):  # what it says before it goes is worth more
            await self._wire.send(self._order.as_program())
        await self._until(lambda: self._started)
        if self._order.patience_s is not None:
            self._tasks.append(asyncio.create_task(self._beat(self._order.patience_s), name="signs of life"))

    async def ended(self) -> int:
        """Wait for its end; see `Program.ended`."""
        await self._until(lambda: self._status is not None)
        assert self._status is not None
        return self._status

    async def end(self) -> None:
        """End it with all that it has started.

        Raises:
            Leaked: something could not be ended.
        """
        try:
            with suppress(OSError, TimeoutError, LinkLost, Unavailable):
                async with asyncio.timeout(self._order.grace_s + _SETTLING_S):
                    await self._wire.send(b"q")
                    await self.ended()
        finally:
            self._wire.close()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
        if self._left:
            raise Leaked(f"{self._name} at {self._place}", self._left)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._fault is not None:
                raise self._fault
            turned = self._turned
            await turned.wait()

    def _turn(self) -> None:
        self._turned.set()
        self._turned = asyncio.Event()

    async def _beat(self, patience_s: float) -> None:
        with suppress(OSError):  # noticed by who listens
            while True:
                await asyncio.sleep(patience_s / _BEATS)
                await self._wire.send(b".")

    async def _listen(self) -> None:
        why = ""
        try:
            while data := await self._wire.receive():
                self._take(data)
        except OSError as error:
            why = str(error)
        if self._status is None and self._fault is None:
            self._fault = await self._gone(why)
        self._turn()

    async def _gone(self, why: str) -> LinkLost | Unavailable:
        if not self._greeted and (said := " ".join(self._said.decode(errors="replace").split())[-300:]):
            if "python3" in said and "not found" in said:
                return Unavailable(f"{self._place}: python3 is missing", mend="install it there")
            return Unavailable(
                f"{self._place}: no program can be started: {said}", mend="mend that on the host"
            )
        reason = await self._cause(why or "it was closed from there")
        return LinkLost(f"{self._place}: the way to {self._name} is lost: {reason}")

    def _take(self, data: bytes) -> None:
        self._said += data
        if not self._greeted:
            _, magic, rest = self._said.partition(MAGIC)
            if not magic:
                return
            self._greeted, self._said = True, rest
        while len(self._said) >= HEAD.size:
            kind, length = HEAD.unpack_from(self._said)
            end = HEAD.size + length
            if len(self._said) < end:
                return
            text, self._said = self._said[HEAD.size : end], self._said[end:]
            self._heed(kind, text)

    def _heed(self, kind: bytes, text: bytes) -> None:
        match kind:
            case b"s":
                self._started = True
            case b"f":
                status, reason = json.loads(text)
                program = self._order.argv[0]
                self._fault = NotStarted(
                    f"{self._place}: {program} cannot be started: {reason}",
                    mend="install it there, or name it by its path",
                    status=status,
                )
            case b"x":
                self._status, self._left = json.loads(text)
            case _:
                self._heard(kind, text)
                return
        self._turn()


@asynccontextmanager
async def kept(
    way: Callable[[], Awaitable[Wire]],
    order: Order,
    *,
    place: str,
    heard: Callable[[bytes, bytes], None],
    cause: Callable[[str], Awaitable[str]],
) -> AsyncGenerator[Kept, None]:
    """Start a program at the end of a new wire, and end it on the way out; see `Kept` and `Host.program`."""
    program = Kept(await way(), order, place=place, heard=heard, cause=cause)
    try:
        await program.start()
        yield program
    finally:
        await to_the_end(program.end())
