"""How many tokens a conversation's next request has, told before it is sent.

What a server reported for the request before is exact; only what was added since is estimated, at the rate
at which this conversation's additions have counted so far. So a count costs the same at any length. The
server's own tokenizer, which reads the whole request, is asked only where the estimate could decide wrongly.

All that enters is the conversation's own: how other trials are getting on changes no count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from scaffold.types import Count, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.protocols import Gauge, Tool
    from scaffold.types import Usage

__all__ = ["BYTES_PER_TOKEN", "Counter", "PlainGauge", "text_of"]

BYTES_PER_TOKEN = 4
"""A usual mean, for who reports nothing."""

_TRUST = 200.0
"""Bytes, or tokens by the user's tokenizer, that the rate found beforehand weighs against the ones seen."""
_AROUND_A_MESSAGE = 4
"""Tokens that a chat template puts around a message."""
_FIELDS = 16
"""Bytes that stand around a text in a request."""


def text_of(message: BaseMessage) -> str:
    """Return all of a message that a subject reads."""
    content = message.content if isinstance(message.content, str) else str(message.text)
    calls = getattr(message, "tool_calls", None)
    if not calls:
        return content
    return content + "".join(call["name"] + _written(call["args"]) for call in calls)


def _written(arguments: object) -> str:
    return orjson.dumps(arguments, default=str).decode(errors="replace")


class _Sum:
    """A sum over the messages of a conversation; each is added once."""

    def __init__(self, measure: Callable[[BaseMessage], int]) -> None:
        self._measure = measure
        self._last: BaseMessage | None = None
        self._count = 0
        self._sum = 0

    def over(self, messages: Sequence[BaseMessage]) -> int:
        if not _extends(messages, self._count, self._last):
            self._count = self._sum = 0
        self._sum += sum(self._measure(message) for message in messages[self._count :])
        self._count, self._last = len(messages), messages[-1] if messages else None
        return self._sum


def _extends(messages: Sequence[BaseMessage], count: int, last: BaseMessage | None) -> bool:
    return 0 < count <= len(messages) and messages[count - 1] is last


class PlainGauge:
    """The gauge of a subject that tells nothing beforehand, beside what was said of it."""

    def __init__(
        self, *, window: Window | None = None, tokenizer: Callable[[str], int] | None = None
    ) -> None:
        self.tokenizer = tokenizer
        self._window = window or Window()

    async def window(self) -> Window:
        """What it was made with."""
        return self._window

    def size(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        """None: nobody writes it."""
        del messages, tools, tool_choice
        return None

    async def tokens(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        """None: nobody counts."""
        del messages, tools, tool_choice
        return None


def _size_of_tools(tools: Sequence[Tool]) -> int:
    return sum(200 + len(tool.name) + len(tool.description) for tool in tools)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A request whose tokens somebody counted."""

    last: BaseMessage | None
    count: int
    weight: int
    tokens: int


class Counter:
    """Counts the requests of one loop."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._spoken = _Sum(self._spoken_tokens) if gauge.tokenizer is not None else None
        self._texts = _Sum(lambda message: len(text_of(message).encode(errors="replace")) + _FIELDS)
        self._first: _Known | None = None
        """The loop's first counted request: what it begins with stays, also in a conversation begun anew."""
        self._reported: _Known | None = None
        self._latest: _Known | None = None
        self._added_tokens = 0
        self._added_weight = 0

    async def window(self) -> Window:
        """How much the subject takes at once."""
        return await self._gauge.window()

    async def count(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        limit: float | None = None,
    ) -> Count:
        """Count a request.

        Args:
            messages: of the request.
            tools: that it offers.
            tool_choice: as it will be asked.
            limit: what the count is to be held against; near it the server's own tokenizer is asked.
        """
        found, weight = self._estimate(messages, tools, tool_choice)
        if limit is None or found.tokens + self._doubt(found) < limit:
            return found
        exact = await self._gauge.tokens(messages, tools=tools, tool_choice=tool_choice)
        if exact is None:
            return found
        self._know(self._request(messages, weight, exact))
        return Count(tokens=exact, counted_by="server")

    def answered(
        self,
        messages: Sequence[BaseMessage],
        usage: Usage,
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> None:
        """Learn what a request came to, by the server's own account."""
        if usage.estimated or not usage.prompt_tokens or not messages:
            return
        weight = self._weight(messages, tools, tool_choice)
        before, now = self._reported, self._request(messages, weight, usage.prompt_tokens)
        if before is not None and _extends(messages, before.count, before.last):
            self._added_tokens += max(now.tokens - before.tokens, 0)
            self._added_weight += max(now.weight - before.weight, 0)
        self._reported = now
        self._know(now)

    def _know(self, request: _Known) -> None:
        self._latest = request
        self._first = self._first or request

    @staticmethod
    def _request(messages: Sequence[BaseMessage], weight: int, tokens: int) -> _Known:
        return _Known(last=messages[-1], count=len(messages), weight=weight, tokens=tokens)

    def _estimate(
        self, messages: Sequence[BaseMessage], tools: Sequence[Tool], tool_choice: Literal["auto", "none"]
    ) -> tuple[Count, int]:
        weight = self._weight(messages, tools, tool_choice)
        known = self._latest
        if known is None or not _extends(messages, known.count, known.last):
            known = self._first
        if known is None:
            tokens = math.ceil(weight * self._rate())
            return Count(tokens=tokens, counted_by=self._unit(), estimated=tokens), weight
        added = math.ceil(self._rate() * (weight - known.weight))
        tokens = max(known.tokens + added, 1)
        return Count(tokens=tokens, counted_by="usage", estimated=abs(added)), weight

    def _doubt(self, count: Count) -> int:
        """By how much an estimate may be too low: a quarter, and where nothing is known yet, far more."""
        return count.estimated * 3 if self._first is None else count.estimated // 4

    def _unit(self) -> Literal["tokenizer", "bytes"]:
        return "bytes" if self._spoken is None else "tokenizer"

    def _rate(self) -> float:
        """Tokens a byte, or a token by the user's tokenizer, of what is added."""
        if self._spoken is not None:
            before = 1.0
        elif self._first is not None and self._first.weight:
            before = self._first.tokens / self._first.weight
        else:
            before = 1 / BYTES_PER_TOKEN
        return (before * _TRUST + self._added_tokens) / (_TRUST + self._added_weight)

    def _weight(
        self, messages: Sequence[BaseMessage], tools: Sequence[Tool], tool_choice: Literal["auto", "none"]
    ) -> int:
        if self._spoken is not None:
            return self._spoken.over(messages) + _size_of_tools(tools) // BYTES_PER_TOKEN
        size = self._gauge.size(messages, tools=tools, tool_choice=tool_choice)
        return self._texts.over(messages) + _size_of_tools(tools) if size is None else size

    def _spoken_tokens(self, message: BaseMessage) -> int:
        assert self._gauge.tokenizer is not None
        return self._gauge.tokenizer(text_of(message)) + _AROUND_A_MESSAGE
