"""Execute: carry the task out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from scaffold.faculties.refusal import refusal
from scaffold.prompts import Prompt, load
from scaffold.types import Update

if TYPE_CHECKING:
    from scaffold.context import Context
    from scaffold.types import State

__all__ = ["Execute"]


@dataclass(frozen=True, kw_only=True)
class Execute:
    """Acts with tools until the subject calls `finish`, or answers `stalls` times in a row without acting."""

    leads_to: ClassVar[tuple[str, ...]] = ("tools", "execute", "repair")

    stalls: int = 3
    name: str = "execute"
    prompt: Prompt | None = field(default_factory=lambda: load("execute"))
    nudge: Prompt = field(default_factory=lambda: load("nudge"))

    async def __call__(self, state: State, context: Context, /) -> Update:
        """Take one turn."""
        reply = await context.turn(self.name, self.prompt)
        if (end := refusal(reply, context)) is not None:
            return end
        if reply.calls:
            return Update(stalls=0)
        stalls = state["stalls"] + 1
        if stalls >= self.stalls:
            return Update(done=True, stop="stalled", submission=reply.text or None)
        context.conversation.say(self.nudge.text)
        return Update(stalls=stalls)
