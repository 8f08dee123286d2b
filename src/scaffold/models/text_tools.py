"""Tool calling in plain text, for subjects whose server or training knows no tool calls.

The tools are described after the system text, the subject writes each call as a fenced block of JSON,
and results come back as the user's messages. The wrapper stands between a scaffold and any subject, so
that the scaffold sees ordinary calls.
"""

from __future__ import annotations

import json
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from scaffold.broker.pace import UNPACED, Pace
from scaffold.models.conversion import message_of
from scaffold.models.encoding import tool_schemas
from scaffold.models.price import Price, price_of
from scaffold.models.text_calls import parse_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from scaffold.protocols import Gauge, Model, Subject, Tool
    from scaffold.types import Reply

__all__ = ["HOW_TO_CALL", "TextTools", "TextToolsSubject"]

HOW_TO_CALL = """\
You act by calling tools. To call one, write a block like this, with the arguments as JSON:

```tool
{"name": "NAME", "arguments": {"KEY": "VALUE"}}
```

You may write several blocks in one answer; they run in order. End your answer after the last block:
the results follow in the next message. The tools:
"""


class _Run(NamedTuple):
    """Messages between two answers of the subject, as the one message they became."""

    first: weakref.ref[BaseMessage]
    last: weakref.ref[BaseMessage]
    """A conversation that began anew has a run with the same beginning, and as long."""
    length: int
    translated: BaseMessage

    def of(self, run: Sequence[BaseMessage]) -> bool:
        """Whether these are the messages."""
        return self.first() is run[0] and self.last() is run[-1] and self.length == len(run)


@dataclass(frozen=True, kw_only=True)
class TextTools:
    """A model that calls tools, made of one that only writes text.

    All messages between two answers become one message of the user, because the chat templates of
    such models insist that the roles alternate. The translation of a message never changes once the
    subject has answered it, so the conversation sent is append-only as well.
    """

    model: Model
    _runs: dict[int, _Run] = field(default_factory=dict, repr=False)

    @property
    def seeded(self) -> bool:
        """As the model underneath."""
        return bool(getattr(self.model, "seeded", False))

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer a conversation.

        Raises:
            ModelFailed: the model underneath gave no usable answer.
        """
        reply = await self.model.ask(self.translated(messages, tools), tools=(), seed=seed)
        if tool_choice == "none" or not tools:
            return reply
        calls = parse_calls(reply.text, prefix=f"text_{len(messages)}")
        told = {name: getattr(reply.message, name) for name in ("response_metadata", "usage_metadata")}
        return replace(reply, message=message_of(reply.text, calls, **told), calls=calls)

    @cached_property
    def gauge(self) -> Gauge | None:
        """As the model underneath, for what it will be sent."""
        gauge: Gauge | None = getattr(self.model, "gauge", None)
        return None if gauge is None else _TranslatedGauge(gauge, self.translated)

    def translated(self, messages: Sequence[BaseMessage], tools: Sequence[Tool]) -> list[BaseMessage]:
        """Return a conversation as the model underneath is sent it."""
        translated: list[BaseMessage] = []
        for role, group in groupby(messages, key=_role):
            run = list(group)
            if role == "assistant":
                translated.extend(self._once(run[index : index + 1], _said) for index in range(len(run)))
            elif role == "user":
                translated.append(self._once(run, _heard))
            else:
                translated.extend(run)
        if tools:
            system = translated.pop(0) if isinstance(messages[0], SystemMessage) else None
            translated.insert(0, self._instructed(system, tools))
        return translated

    def _once(self, run: list[BaseMessage], translate: Any) -> BaseMessage:
        key = id(run[0])
        known = self._runs.get(key)
        if known is None or not known.of(run):

            def forget(_: object) -> None:
                self._runs.pop(key, None)

            known = _Run(weakref.ref(run[0], forget), weakref.ref(run[-1]), len(run), translate(run))
            self._runs[key] = known
        return known.translated

    def _instructed(self, system: BaseMessage | None, tools: Sequence[Tool]) -> SystemMessage:
        before = f"{system.text}\n\n" if system is not None else ""
        return SystemMessage(before + HOW_TO_CALL + "\n".join(_described(tools)))


class _TranslatedGauge:
    """The gauge of the model underneath, asked about translated conversations."""

    def __init__(
        self,
        gauge: Gauge,
        translated: Callable[[Sequence[BaseMessage], Sequence[Tool]], Sequence[BaseMessage]],
    ) -> None:
        self.tokenizer = gauge.tokenizer
        self.window = gauge.window
        self._gauge = gauge
        self._translated = translated

    def size(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        del tool_choice
        return self._gauge.size(self._translated(messages, tools), tools=())

    async def tokens(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> int | None:
        del tool_choice
        return await self._gauge.tokens(self._translated(messages, tools), tools=())


def _role(message: BaseMessage) -> Literal["assistant", "user", "system"]:
    if isinstance(message, AIMessage):
        return "assistant"
    return "system" if isinstance(message, SystemMessage) else "user"


def _said(run: Sequence[BaseMessage]) -> AIMessage:
    return AIMessage(content=str(run[0].text))


def _heard(run: Sequence[BaseMessage]) -> HumanMessage:
    parts = [f"Result:\n{m.text}" if isinstance(m, ToolMessage) else str(m.text) for m in run]
    return HumanMessage("\n\n".join(parts))


def _described(tools: Sequence[Tool]) -> Iterator[str]:
    for schema in tool_schemas(tools):
        function = schema["function"]
        arguments = json.dumps(function["parameters"].get("properties", {}))
        required = ", ".join(function["parameters"].get("required", ())) or "none"
        yield f"- {function['name']}: {function['description']} Arguments: {arguments}. Required: {required}."


@dataclass(frozen=True, kw_only=True)
class TextToolsSubject:
    """A subject that is asked to write its tool calls as text."""

    subject: Subject

    @property
    def name(self) -> str:
        """The subject's own name; how it calls tools is part of the scaffold's description."""
        return self.subject.name

    @property
    def simulated(self) -> bool:
        """As the subject itself."""
        return self.subject.simulated

    @property
    def price(self) -> Price:
        """As of the subject itself."""
        return price_of(self.subject)

    @property
    def pace(self) -> Pace:
        """As the subject itself."""
        return getattr(self.subject, "pace", UNPACED)

    @property
    def provider(self) -> str:
        """As the subject itself."""
        return str(getattr(self.subject, "provider", self.subject.name))

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Model]:
        """Open the connection of the subject underneath."""
        async with self.subject.connect() as model:
            yield TextTools(model=model)
