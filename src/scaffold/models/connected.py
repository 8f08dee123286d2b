"""Connected subjects: what a scaffold asks, over either of two ways to a chat model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage, convert_to_messages

from scaffold.broker.turn import turn_under_way
from scaffold.counting import PlainGauge
from scaffold.errors import AnotherModel, ContextFull, ModelFailed
from scaffold.models.answers import reply_from
from scaffold.models.complaints import filtered, too_long
from scaffold.models.conversion import answer_from, call_options, relayed
from scaffold.models.encoding import tool_schemas
from scaffold.models.endpoint import TOO_MUCH
from scaffold.models.gauge import ServerGauge
from scaffold.models.price import FREE, Price
from scaffold.models.sampling import AS_USUAL, Calling
from scaffold.models.served import same_model
from scaffold.models.window import window_of_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from scaffold.models.chat import Completion, PooledChatOpenAI
    from scaffold.protocols import Tool
    from scaffold.types import Relayed, Reply

__all__ = ["LangChainModel", "PooledModel"]

MOST_SETTINGS = 1024
_TURNS, _SEEDS = 1_000_003, 1 << 31

OURS = frozenset({"model", "n", "stream", "stream_options"})
"""What a client may say, and redline decides."""


def _options(
    tools: Sequence[Tool], tool_choice: Literal["auto", "none"], seed: int | None, calling: Calling
) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if seed is not None:
        options["seed"] = seed
    if tools:
        options["tools"] = tool_schemas(tools, strict=calling.strict, longest_text=calling.longest_text)
        choice = calling.choice if tool_choice == "auto" else tool_choice
        if choice != "auto":
            options["tool_choice"] = choice
        if calling.parallel is not None:
            options["parallel_tool_calls"] = calling.parallel
    return options


@dataclass(frozen=True, kw_only=True)
class PooledModel:
    """A subject asked over a connected `PooledChatOpenAI`; faults are retried there."""

    chat: PooledChatOpenAI
    price: Price = FREE
    calling: Calling = AS_USUAL
    seeded: bool = True
    """Whether requests carry a seed."""
    seed_each_turn: bool = False
    """Each turn has a seed of its own, made from the trial's: a model that hardly heeds the conversation
    would say the same again and again under one."""
    window: int | None = None
    """Tokens the subject takes at once; None to find out."""
    tokenizer: Callable[[str], int] | None = None
    stream: bool = False
    """Answers come in pieces."""
    served: tuple[str, ...] = ()
    """What the server may call the model beside what it was asked for; see `same_model`."""
    _known: dict[object, tuple[bytes, tuple[Tool, ...]]] = field(default_factory=dict, init=False, repr=False)
    """Settings by what they are made from, and the tools, which are told apart by their identity: tools and
    seed are the same throughout a trial."""

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
            ModelFailed: no usable answer could be had.
            AnotherModel: one could, of another model than was asked for.
        """
        if self.seed_each_turn and seed is not None:
            seed = (seed * _TURNS + len(messages)) % _SEEDS
        settings = self._settings(tools, tool_choice, seed)
        return self._reply(await self.chat.complete(messages, settings))

    def _reply(self, completion: Completion) -> Reply:
        reply = reply_from(
            completion.message,
            sent_bytes=completion.sent_bytes,
            seconds=completion.seconds,
            attempts=completion.attempts,
            first_s=completion.first_s,
            price=self.price,
        )
        if not same_model(self.chat.model_name, reply.served, self.served):
            raise AnotherModel(reply, asked=self.chat.model_name)
        return reply

    @cached_property
    def gauge(self) -> ServerGauge:
        """What can be known of a request before it is sent."""
        return ServerGauge(
            self.chat,
            settings=lambda tools, choice: self._settings(tools, choice, None),
            window=self.window,
            tokenizer=self.tokenizer,
        )

    @property
    def serves(self) -> str:
        """What the server calls the model."""
        return self.chat.model_name

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a request of the chat-completions protocol as it is; see `RelayingModel.relay`."""
        asked = {name: value for name, value in request.items() if name not in OURS}
        answer, completion = await self.chat.relay(asked, self._settings((), "auto", seed))
        reply = self._reply(completion)
        return relayed(reply, answer)

    def _settings(
        self, tools: Sequence[Tool], tool_choice: Literal["auto", "none"], seed: int | None
    ) -> bytes:
        seed = seed if self.seeded else None
        made_from = (*map(id, tools), tool_choice, seed)
        known = self._known.get(made_from)
        if known is None:
            if len(self._known) >= MOST_SETTINGS:
                self._known.clear()
            options = _options(tools, tool_choice, seed, self.calling)
            if self.stream:
                options |= {"stream": True, "stream_options": {"include_usage": True}}
            known = self._known[made_from] = (self.chat.settings(**options), tuple(tools))
        return known[0]


@dataclass(frozen=True, kw_only=True)
class LangChainModel:
    """A subject asked over any LangChain chat model; what it retries is its own affair."""

    chat: BaseChatModel
    price: Price = FREE
    calling: Calling = AS_USUAL
    window: int | None = None
    """Tokens the subject takes at once; None to find out."""
    tokenizer: Callable[[str], int] | None = None

    @cached_property
    def gauge(self) -> PlainGauge:
        """What can be known of a request before it is sent."""
        window = window_of_chat(self.chat, name=self.serves, given=self.window)
        return PlainGauge(window=window, tokenizer=self.tokenizer)

    @cached_property
    def seeded(self) -> bool:
        """Whether it takes a seed; others refuse an option they do not know."""
        return "seed" in type(self.chat).model_fields

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
            ModelFailed: the chat model raised, whatever it raised.
        """
        options = _options(tools, tool_choice, seed if self.seeded else None, self.calling)
        return await self._invoke(messages, options)

    @property
    def serves(self) -> str:
        """What the chat model calls itself."""
        named = getattr(self.chat, "model_name", None) or getattr(self.chat, "model", None)
        return named if isinstance(named, str) else type(self.chat).__name__

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a request of the chat-completions protocol, converted to LangChain's and back.

        Of its settings the chat model gets those it has a field for; see `RelayingModel.relay`.
        """
        messages = convert_to_messages(list(request["messages"]))
        options = call_options(request, seed=seed, known=frozenset(type(self.chat).model_fields))
        reply = await self._invoke(messages, options)
        return relayed(reply, answer_from(reply, model=self.serves))

    async def _invoke(self, messages: Sequence[BaseMessage], options: dict[str, Any]) -> Reply:
        schemas = options.pop("tools", [])
        started = time.perf_counter()
        try:
            asked = self.chat.bind_tools(schemas, **options) if schemas else self.chat.bind(**options)
            message = await asked.ainvoke(list(messages))
        except ModelFailed:
            raise
        except Exception as fault:
            if (told := filtered(str(fault), codes=str(getattr(fault, "code", "")))) is None:
                raise _failed(fault) from fault
            message = AIMessage(
                "",
                additional_kwargs={"refusal": told},
                response_metadata={"finish_reason": "content_filter"},
            )
        if not isinstance(message, AIMessage):
            raise ModelFailed(f"the chat model answered with a {type(message).__name__}", attempts=1)
        return reply_from(
            message,
            sent_bytes=_size(messages) if message.usage_metadata is None else 0,
            seconds=time.perf_counter() - started,
            price=self.price,
        )


def _failed(fault: Exception) -> ModelFailed:
    """Say what a chat model's exception comes to, and tell the pace if the provider had too much to do."""
    status = getattr(fault, "status_code", None)
    busy = status in TOO_MUCH
    turn_under_way().give_back("refused" if busy else "broken")
    kind = ContextFull if too_long(str(fault)) else ModelFailed
    return kind(f"{type(fault).__name__}: {fault}", attempts=1)


def _size(messages: Sequence[BaseMessage]) -> int:
    return sum(len(str(message.content).encode(errors="replace")) for message in messages)
