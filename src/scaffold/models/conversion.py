"""Between the chat-completions protocol and LangChain, for subjects that speak only the latter."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from langchain_core.messages import AIMessage, InvalidToolCall
from langchain_core.messages import ToolCall as LangChainToolCall

from scaffold.types import Relayed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaffold.types import Reply, ToolCall

__all__ = ["answer_from", "call_options", "message_of", "relayed"]

_SETTINGS = ("temperature", "top_p", "stop", "max_tokens", "seed")


def call_options(request: Mapping[str, Any], *, seed: int | None, known: frozenset[str]) -> dict[str, Any]:
    """Return what a request asks for beside its messages, as a chat model's `bind_tools` takes it.

    Args:
        request: of the protocol.
        seed: where it gives none.
        known: fields of the chat model; it gets no setting but these.
    """
    given = {"seed": seed, **request}
    options = {name: given[name] for name in _SETTINGS if name in known and given.get(name) is not None}
    if request.get("tools"):
        options["tools"] = list(request["tools"])
        if request.get("tool_choice") is not None:
            options["tool_choice"] = request["tool_choice"]
    return options


def answer_from(reply: Reply, *, model: str) -> dict[str, Any]:
    """Return a reply as the protocol's `chat.completion`."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(dict(call.arguments)).decode()},
            }
            for call in reply.calls
        ]
    usage = reply.usage
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.calls else "stop"}
        ],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.tokens,
        },
    }


def message_of(text: str, calls: Sequence[ToolCall], **told: Any) -> AIMessage:
    """Return what a subject said as the message it becomes in the conversation.

    Args:
        text: its words.
        calls: those with a problem stand apart, as LangChain has it.
        told: fields of the message that are no part of what was said.
    """
    sound = [
        LangChainToolCall(type="tool_call", id=call.id, name=call.name, args=dict(call.arguments))
        for call in calls
        if call.problem is None
    ]
    malformed = [
        InvalidToolCall(type="invalid_tool_call", id=call.id, name=call.name, args="", error=call.problem)
        for call in calls
        if call.problem is not None
    ]
    return AIMessage(content=text, tool_calls=sound, invalid_tool_calls=malformed, **told)


def relayed(reply: Reply, answer: dict[str, Any]) -> Relayed:
    """Return a reply together with the answer it was read from."""
    return Relayed(**{each.name: getattr(reply, each.name) for each in fields(reply)}, answer=answer)
