"""Keeps a trial within its budget, between steps and during them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from scaffold.errors import BudgetSpent, ModelFailed
from scaffold.types import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from scaffold.types import Budget

__all__ = ["Meter"]


class Meter:
    """What one trial has spent. Made inside a running event loop: its clock starts at once."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps = 0
        self.usage = Usage()
        self._started = asyncio.get_running_loop().time()
        self._asked_at: float | None = None
        self._unanswered = ""

    @property
    def seconds(self) -> float:
        """Wall time since the start."""
        return asyncio.get_running_loop().time() - self._started

    @property
    def deadline(self) -> float:
        """When the time is up, on the event loop's clock."""
        return self._started + self.budget.seconds

    def before_call(self) -> None:
        """Count a model call that is about to be made.

        Raises:
            BudgetSpent: there is nothing left to make it with.
        """
        budget = self.budget
        if self.steps >= budget.steps:
            raise BudgetSpent("steps")
        if budget.tokens is not None and self.usage.tokens >= budget.tokens:
            raise BudgetSpent("tokens")
        if budget.money is not None and self.usage.money >= budget.money:
            raise BudgetSpent("money")
        if self.seconds >= budget.seconds:
            raise BudgetSpent("seconds")
        self.steps += 1
        self._asked_at = self.seconds

    def spend(self, usage: Usage) -> None:
        """Count what an answered call cost."""
        self.usage += usage
        self._asked_at = None

    def cut_off(self, end: asyncio.CancelledError) -> None:
        """Keep what the way to the server noted about a call that is not waited for any longer."""
        self._unanswered = "; ".join(getattr(end, "__notes__", ()))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Cancel what runs inside at the deadline. A `TimeoutError` of its own passes through.

        Raises:
            BudgetSpent: the time is up.
            ModelFailed: the time is up, on the server's account.
        """
        try:
            async with asyncio.timeout_at(self.deadline) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            if self.server_is_late:
                noted = f" ({self._unanswered})" if self._unanswered else ""
                raise ModelFailed(f"no answer within the trial's time{noted}", attempts=None) from error
            raise BudgetSpent("seconds") from error

    @property
    def server_is_late(self) -> bool:
        """Whether a call has been unanswered for more than half of the whole time budget.

        When the time runs out in such a call, it ran out on the server's account, not on the agent's.
        """
        return self._asked_at is not None and self.seconds - self._asked_at > self.budget.seconds / 2
