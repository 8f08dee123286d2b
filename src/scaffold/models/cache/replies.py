"""Answers as bytes to be kept, and back into the very answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import AIMessage

from scaffold.types import Relayed, Reply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["packed", "unpacked"]


def packed(reply: Reply) -> bytes:
    """Return an answer as bytes; how long it took and how often it was asked for are left out.

    Raises:
        TypeError: it holds what JSON cannot.
    """
    return orjson.dumps(
        {
            "message": reply.message.model_dump(mode="json"),
            "text": reply.text,
            "calls": [asdict(call) for call in reply.calls],
            "usage": asdict(reply.usage),
            "refused": reply.refused,
            "reasoning": reply.reasoning,
            "finish": reply.finish,
            "served": reply.served,
            "answer": reply.answer if isinstance(reply, Relayed) else None,
        }
    )


def unpacked(kept: bytes) -> Reply:
    """Return a kept answer, marked as one that nobody was asked for.

    Raises:
        ValueError, LookupError, TypeError: it is none.
    """
    told: Mapping[str, Any] = orjson.loads(kept)
    fields: dict[str, Any] = {
        "message": AIMessage.model_validate(told["message"]),
        "text": told["text"],
        "calls": tuple(ToolCall(**call) for call in told["calls"]),
        "usage": Usage(**told["usage"]).spared(),
        "refused": told["refused"],
        "attempts": 0,
        "reasoning": told["reasoning"],
        "finish": told["finish"],
        "served": told["served"],
        "from_cache": True,
    }
    return Reply(**fields) if told["answer"] is None else Relayed(**fields, answer=told["answer"])
