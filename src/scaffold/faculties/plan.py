"""Plan: decide the steps before taking the first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from scaffold.faculties.refusal import refusal
from scaffold.prompts import Prompt, load
from scaffold.types import Update

if TYPE_CHECKING:
    from scaffold.context import Context
    from scaffold.types import State

__all__ = ["Plan"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Has the subject write its plan, in one turn without tools."""

    leads_to: ClassVar[tuple[str, ...]] = ("execute",)

    prompt: Prompt = field(default_factory=lambda: load("plan"))

    async def __call__(self, _: State, context: Context, /) -> Update:
        """Take the one turn."""
        reply = await context.turn("plan", self.prompt, tool_choice="none")
        return refusal(reply, context) or Update(hand_over="execute")
