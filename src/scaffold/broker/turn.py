"""One call's place at the pace of its provider, held for an attempt and given back between two.

The broker takes the first place, and whoever makes the call finds it here: an endpoint that tells attempts
apart gives the place back while it waits to ask again; anything else keeps it until it has an answer.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self

from scaffold.broker.pace import UNPACED, Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from scaffold.broker.level import Attempt
    from scaffold.broker.pace import End

__all__ = ["Turn", "turn_under_way"]

_UNDER_WAY: ContextVar[Turn | None] = ContextVar("turn", default=None)


def turn_under_way() -> Turn:
    """Return the turn of the call that is being made; one that waits for nobody, where nobody paces it."""
    return _UNDER_WAY.get() or Turn(Pacer(UNPACED))


class Turn:
    """A call's right to attempt, one place at a time. Inside the block, `turn_under_way()` finds it.

    Args:
        pacer: of the provider.
        waiting: entered while nothing is asked: for a place, and between two attempts.
    """

    def __init__(
        self, pacer: Pacer, *, waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.waited_s = 0.0
        self._pacer = pacer
        self._waiting = waiting
        self._place: Attempt | None = None
        self._token: Token[Turn | None] | None = None

    async def take(self) -> None:
        """Wait for a place, unless one is held."""
        if self._place is None:
            self._place = self._pacer.enter_now()
        if self._place is None:
            await self._wait(0.0)

    def give_back(self, end: End, *, asked_s: float = 0.0, rest_s: float = 0.0) -> None:
        """Say how the attempt ended, and give its place back, if one is held; see `Pacer.leave`."""
        if self._place is not None:
            place, self._place = self._place, None
            self._pacer.leave(place, end, asked_s=asked_s, rest_s=rest_s)

    async def again_in(self, seconds: float) -> None:
        """Take a place again, after so many seconds without one."""
        await self._wait(seconds)

    async def _wait(self, seconds: float) -> None:
        with self.pausing():
            await asyncio.sleep(seconds)
            self._pacer.waited_s += seconds
            self._place = await self._pacer.enter()

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Know of the call while nobody is asked: a server that redline starts again keeps its place, too."""
        clock = asyncio.get_running_loop().time
        since = clock()
        try:
            with self._waiting():
                yield
        finally:
            self.waited_s += clock() - since

    async def __aenter__(self) -> Self:
        await self.take()
        self._token = _UNDER_WAY.set(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        _UNDER_WAY.reset(self._token)
        self.give_back("answered" if fault is None else "broken")
