"""What a loop asks the subject with: one key each, good for as long as nobody takes it back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from scaffold.broker.hearing import Hearing
from scaffold.counting import Counter
from scaffold.errors import ContextFull
from scaffold.protocols import RelayingModel
from scaffold.types import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.broker.lineage import Lineage
    from scaffold.protocols import Tool
    from scaffold.types import Count, Relayed, Reply, Window

__all__ = ["Key"]


def _token() -> str:
    return f"sk-{secrets.token_urlsafe(32)}"


@dataclass(eq=False, kw_only=True)
class Key:
    """One loop's right to ask the subject, and what it has done with it.

    It is a `Model`: what asks a model can ask with a key, and is counted, recorded and refused there.
    """

    lineage: Lineage = field(repr=False)
    member: int
    """Counts the loops of the lineage in the order their keys were made."""
    generation: int
    parent: Key | None = field(repr=False)
    machine: str = ""
    """Where its loop acts, as the census calls the machine."""
    token: str = field(default_factory=_token, repr=False)
    """For programs inside the machine; nobody can guess it, and it opens nothing but the gate."""
    revoked: str | None = None
    """Why it is good no more."""
    step: int = 0
    """Number, within the lineage, of its latest call."""
    calls: int = 0
    """Answered ones."""
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    began: float = 0.0
    """When its loop did, in seconds after the trial's clock started."""
    ended: float | None = None
    counter: Counter = field(init=False, repr=False)
    """Knows how long its loop's next request is."""
    _hearing: Hearing = field(default_factory=Hearing, repr=False)

    def __post_init__(self) -> None:
        self.counter = Counter(self.lineage.broker.gauge())

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool] = (),
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
        by: str = "",
        added: tuple[dict[str, str], ...] = (),
        beside: int | None = None,
    ) -> Reply:
        """Ask the subject, unless the request is longer than it can take.

        Args:
            messages: the conversation.
            tools: what the subject may call.
            tool_choice: `none` for words only.
            seed: for subjects that take one.
            by: the faculty that asks, for the record.
            added: instructions that are new in the conversation, for the record.
            beside: how many messages of the conversation are asked about, where it does not go on with this.

        Raises:
            BudgetSpent: nothing is left for another call, or the conversation has grown too long.
            KeyRevoked: nothing is to be asked any more, or the answer came too late to be handed on.
            ModelFailed: the subject's server gave no usable answer.
            ContextFull: the very first request is too long.
        """
        broker, counter = self.lineage.broker, self.counter
        known = None
        if broker.recalling is not None:
            known = broker.recalling.recall(messages, tools=tools, tool_choice=tool_choice, seed=seed)

        async def fits() -> None:
            window = await counter.window()
            if window.room is None:
                return
            count = await counter.count(messages, tools=tools, tool_choice=tool_choice, limit=window.room)
            if count.tokens > window.room:
                raise ContextFull(_too_long(count, window), attempts=0)

        async def send() -> Reply:
            return await broker.answering(self).ask(messages, tools=tools, tool_choice=tool_choice, seed=seed)

        reply = await broker.carry(self, send, by=by, added=added, known=known, beside=beside, fits=fits)
        counter.answered(messages, reply.usage, tools=tools, tool_choice=tool_choice)
        return reply

    async def relay(self, request: Mapping[str, Any], *, by: str, seed: int | None = None) -> Relayed:
        """Have the subject answer a request of the chat-completions protocol as it is.

        Args:
            request: the client's, checked to be one.
            by: the faculty that asks, for the record.
            seed: where the client gives none.

        Raises:
            BudgetSpent, KeyRevoked, ModelFailed: as `ask`.
            TypeError: the subject cannot; see `Broker.serves`.
        """
        broker = self.lineage.broker
        model = broker.answering(self)
        if not isinstance(model, RelayingModel):
            raise TypeError(f"{type(model).__name__} answers no requests of programs inside a machine")
        heard = self._hearing.hear(request)
        known = broker.recalling.recall_relayed(request, seed=seed) if broker.recalling else None

        async def send() -> Relayed:
            return await model.relay(request, seed=seed)

        relayed = await broker.carry(
            self, send, by=by, added=heard.added, settings=heard.settings, known=known
        )
        self._hearing.answered(heard, relayed.answer)
        return relayed

    def note(self, reply: Reply) -> None:
        """Count an answer."""
        self.calls += 1
        self.tool_calls += len(reply.calls)
        self.usage += reply.usage


def _too_long(count: Count, window: Window) -> str:
    return (
        f"the request has {count.tokens} tokens (counted by {count.counted_by}) and the answer may need "
        f"{window.reserve} more, but {window.said_by} says that the subject takes {window.tokens}: give it a "
        "longer window (--context-window, or where its server is started), fewer tools, or a shorter task"
    )
