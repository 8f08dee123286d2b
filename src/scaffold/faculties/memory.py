"""Memory: begin the conversation anew, with a note, before it outgrows what the subject can take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from langchain_core.messages import HumanMessage

from scaffold.prompts import Prompt, load
from scaffold.types import Update

if TYPE_CHECKING:
    from scaffold.context import Context
    from scaffold.types import State, Window

__all__ = ["Memory"]

_PROMPTS = 256
"""Tokens left free for what the scaffold itself says next."""
_GROWTH = 1.5
"""A conversation that a note would hardly shorten is not begun anew, as long as it fits."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Has the subject write down what it needs, in one turn without tools, once the window is nearly full.

    The conversation goes on with the system's text, the instruction and that note. Where the latest exchanges
    leave no room to ask for a note, it is asked for before them, and they follow it as they were. Without a
    window, and without `tokens`, it never acts.

    Raises:
        ValueError: `share` is no share, or `tokens` or `keep` no such number.
    """

    leads_to: ClassVar[tuple[str, ...]] = ("explore", "plan", "execute", "repair")

    share: float = 0.8
    """Of the window: a conversation that fills as much is begun anew."""
    tokens: int | None = None
    """Begins anew at so many tokens already, whatever the window: to study what it does."""
    keep: int = 0
    """Latest exchanges that follow the note as they were: answers, and what came of their calls."""
    prompt: Prompt = field(default_factory=lambda: load("memory"))
    note: Prompt = field(default_factory=lambda: load("note"))
    """Stands above the note in the new conversation."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"memory's share is {self.share}: give a part of the window, from 0 to 1")
        if self.tokens is not None and self.tokens < 1:
            raise ValueError(f"memory's tokens are {self.tokens}: give a number from 1 up")
        if self.keep < 0:
            raise ValueError(f"memory keeps {self.keep} exchanges: give a number from 0 up")

    async def due(self, context: Context) -> bool:
        """Whether it is to have a turn before the subject is asked anything else."""
        if (ahead := context.ahead) is not None:
            return ahead.beside is not None
        if context.conversation.replies <= self.keep:
            return False
        window = await context.window()
        limit = self._limit(window)
        if limit is None:
            return False
        count = await context.count(limit=limit)
        if count.tokens < limit:
            return False
        presses = window.room is not None and count.tokens > window.room - _PROMPTS
        return presses or count.tokens >= _GROWTH * context.began_with

    def _limit(self, window: Window) -> float | None:
        limits: list[float] = [] if self.tokens is None else [self.tokens]
        if window.tokens is not None and window.room is not None:
            limits += [self.share * window.tokens, window.room - _PROMPTS]
        return min(limits, default=None)

    async def __call__(self, _: State, context: Context, /) -> Update:
        """Take the one turn; a subject that writes nothing leaves the conversation as it was."""
        before, question = await context.count(), HumanMessage(content=self.prompt.text)
        upto = await self._upto(context, question)
        if upto is None:
            return Update()
        reply = await context.aside("memory", question, upto=upto)
        if reply.text.strip():
            note = f"{self.note.text}\n\n{reply.text}"
            await context.begin_anew("memory", note, upto=upto, before=before)
        return Update()

    async def _upto(self, context: Context, question: HumanMessage) -> int | None:
        """Return up to where the note is to tell; None where there is nothing to tell that fits a request."""
        if context.ahead is not None:
            return context.ahead.beside
        messages, begins = context.conversation.messages, context.conversation.exchanges()
        room = (await context.window()).room
        for kept in range(self.keep, len(begins)):
            upto = begins[-kept] if kept else len(messages)
            if room is None:
                return upto
            if (await context.count_aside(question, upto=upto, limit=room)).tokens <= room:
                return upto
        return None
