"""Repair: find out why a step failed, and mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from scaffold.faculties.refusal import refusal
from scaffold.prompts import Prompt, load
from scaffold.types import Update

if TYPE_CHECKING:
    from scaffold.context import Context
    from scaffold.types import State

__all__ = ["Repair"]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Takes over from execute after `after` failed turns in a row, for at most `turns` turns.

    It hands back when the subject answers without acting; an answer that ends in the line REPLAN hands
    over to planning instead.
    """

    leads_to: ClassVar[tuple[str, ...]] = ("tools", "repair", "execute", "plan")

    turns: int = 6
    after: int = 1
    prompt: Prompt = field(default_factory=lambda: load("repair"))

    async def __call__(self, state: State, context: Context, /) -> Update:
        """Take one turn."""
        reply = await context.turn("repair", self.prompt)
        if (end := refusal(reply, context)) is not None:
            return end
        if not reply.calls:
            replan = reply.text.rstrip().endswith("REPLAN")
            return Update(hand_over="plan" if replan else "execute", failures=0, failure=None)
        if state["turns"] + 1 >= self.turns:
            return Update(hand_over="execute", failures=0)
        return Update()
