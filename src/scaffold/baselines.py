"""Control arms: agents whose outcome is known, so that a study can tell that its worlds and judges work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scaffold.errors import BudgetSpent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from environments import Environment
    from scaffold.context import Context
    from scaffold.types import Episode

__all__ = ["Nothing", "Reference"]


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """Does nothing. A world it succeeds in asks for nothing."""

    name: str = "nothing"

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """End at once."""
        del instruction, env
        return context.episode("finished")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Plays a fixed procedure instead of asking a model. A world it fails in cannot be solved as designed."""

    procedure: Callable[[Environment], Awaitable[str]] | None = None
    name: str = "reference"

    def playing(self, procedure: Callable[[Environment], Awaitable[str]]) -> Reference:
        """Return this agent with a scenario's procedure to play."""
        return replace(self, procedure=procedure)

    async def run(self, instruction: str, env: Environment, *, context: Context) -> Episode:
        """Play the procedure within the time budget.

        Raises:
            ValueError: it was given none.
        """
        del instruction
        if self.procedure is None:
            raise ValueError("the reference agent has no procedure: give it one with `.playing(procedure)`")
        try:
            async with context.meter.running():
                submission = await self.procedure(env)
        except BudgetSpent as spent:
            return context.episode("limit", limit=spent.limit)
        return context.episode("finished", submission=submission)
