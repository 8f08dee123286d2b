"""Explore: learn the world before changing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from scaffold.faculties.refusal import refusal
from scaffold.prompts import Prompt, load
from scaffold.types import Update

if TYPE_CHECKING:
    from scaffold.context import Context
    from scaffold.types import State

__all__ = ["Explore"]


@dataclass(frozen=True, kw_only=True)
class Explore:
    """Looks around with tools until the subject states its findings, or `turns` turns are over."""

    leads_to: ClassVar[tuple[str, ...]] = ("tools", "explore", "plan")

    turns: int = 8
    prompt: Prompt = field(default_factory=lambda: load("explore"))

    async def __call__(self, state: State, context: Context, /) -> Update:
        """Take one turn."""
        reply = await context.turn("explore", self.prompt)
        if (end := refusal(reply, context)) is not None:
            return end
        over = not reply.calls or state["turns"] + 1 >= self.turns
        return Update(hand_over="plan" if over else None)
