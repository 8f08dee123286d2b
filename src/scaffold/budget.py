"""Keeps a trial within its budget, between steps and during them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from scaffold.errors import BudgetSpent, ModelFailed
from scaffold.types import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from scaffold.types import Budget

__all__ = ["Meter"]


class Meter:
    """What a trial and all its generations have spent. Made in a running event loop: its clock starts."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps = 0
        self.usage = Usage()
        self._started = asyncio.get_running_loop().time()
        self._unanswered: dict[object, float] = {}
        """When each call that has no answer yet was asked for."""
        self._waited = 0.0
        """For the call that was cut off after the longest wait."""
        self._noted = ""
        self._limits: dict[asyncio.Timeout, float] = {}
        self._standing = 0
        self._in_line = 0
        """Calls that wait for their turn, or to be asked again."""
        self._stood_since: float | None = None
        self.stood = 0.0
        """Seconds during which the clock stood still."""

    @property
    def seconds(self) -> float:
        """Wall time since the start, less what the clock stood still."""
        now = asyncio.get_running_loop().time() if self._stood_since is None else self._stood_since
        return now - self._started

    @property
    def deadline(self) -> float:
        """When the time is up, on the event loop's clock."""
        return self._started + self.budget.seconds

    def check(self) -> None:
        """See that there is something left to make a call with.

        Raises:
            BudgetSpent: there is not.
        """
        budget = self.budget
        if self.steps >= budget.steps:
            raise BudgetSpent("steps")
        if budget.tokens is not None and self.usage.tokens >= budget.tokens:
            raise BudgetSpent("tokens")
        if budget.money is not None and self.usage.worth >= budget.money:
            raise BudgetSpent("money")
        if self.seconds >= budget.seconds:
            raise BudgetSpent("seconds")

    def before_call(self) -> int:
        """Count a model call that is about to be made, and return its number.

        Raises:
            BudgetSpent: there is nothing left to make it with.
        """
        self.check()
        self.steps += 1
        return self.steps

    def spend(self, usage: Usage) -> None:
        """Count what an answered call cost."""
        self.usage += usage

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Know of a call while it has no answer; keep what was noted on the way where it is cut off."""
        mark = object()
        self._unanswered[mark] = self.seconds
        self._see_to_clock()
        try:
            yield
        except asyncio.CancelledError as end:
            waited = self.seconds - self._unanswered[mark]
            if waited >= self._waited:
                self._waited, self._noted = waited, "; ".join(getattr(end, "__notes__", ()))
            raise
        finally:
            del self._unanswered[mark]
            self._see_to_clock()

    @contextmanager
    def in_line(self) -> Iterator[None]:
        """Know of a call that nobody works on: it waits for a place, or for a provider that asked to wait.

        The clock stands still for as long as that is all the trial's calls do. How many other trials ask the
        same provider is not the agent's doing.
        """
        self._in_line += 1
        self._see_to_clock()
        try:
            yield
        finally:
            self._in_line -= 1
            self._see_to_clock()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop the clock, and with it every deadline, for as long as somebody else is waited for."""
        self._standing += 1
        self._see_to_clock()
        try:
            yield
        finally:
            self._standing -= 1
            self._see_to_clock()

    def _see_to_clock(self) -> None:
        """Stop the clock, or let it go on, as what is waited for asks."""
        stands = self._standing > 0 or 0 < self._in_line == len(self._unanswered)
        if stands == (self._stood_since is not None):
            return
        now = asyncio.get_running_loop().time()
        if self._stood_since is None:
            self._stood_since = now
            self._reschedule(lambda _: None)
        else:
            stood, self._stood_since = now - self._stood_since, None
            self.stood += stood
            self._started += stood
            self._reschedule(lambda grace: self.deadline + grace)

    def _reschedule(self, when: Callable[[float], float | None]) -> None:
        for limit, grace in self._limits.items():
            if not limit.expired():
                limit.reschedule(when(grace))

    @asynccontextmanager
    async def limited(self, *, grace: float = 0.0) -> AsyncGenerator[asyncio.Timeout, None]:
        """Run what is inside under `asyncio.timeout`, `grace` seconds after the deadline.

        The limit yielded tells whether it was this one that ended it with a `TimeoutError`.
        """
        async with asyncio.timeout_at(self.deadline + grace if self._stood_since is None else None) as limit:
            self._limits[limit] = grace
            try:
                yield limit
            finally:
                self._limits.pop(limit, None)

    def cut(self) -> None:
        """Let the outermost limit expire now, whatever the clock says."""
        outermost = next((limit for limit in self._limits if not limit.expired()), None)
        if outermost is not None:
            del self._limits[outermost]
            outermost.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Cancel what runs inside at the deadline. A `TimeoutError` of its own passes through.

        Raises:
            BudgetSpent: the time is up.
            ModelFailed: the time is up, on the server's account.
        """
        try:
            async with self.limited() as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            if self.server_is_late:
                noted = f" ({self._noted})" if self._noted else ""
                raise ModelFailed(f"no answer within the trial's time{noted}", attempts=None) from error
            raise BudgetSpent("seconds") from error

    @property
    def server_is_late(self) -> bool:
        """Whether a call has been unanswered for more than half of the whole time budget.

        When the time runs out in such a call, it ran out on the server's account, not on the agent's.
        """
        waits = [self._waited, *(self.seconds - asked_at for asked_at in self._unanswered.values())]
        return max(waits) > self.budget.seconds / 2
