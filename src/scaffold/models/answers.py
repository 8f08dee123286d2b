"""What a subject's answer comes to: text, calls, refusal, and what it cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scaffold.counting import BYTES_PER_TOKEN
from scaffold.models.parsing import TOO_DEEP, nested_too_deeply
from scaffold.models.price import FREE, Price
from scaffold.types import Reply, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

__all__ = ["reply_from"]


def reply_from(
    message: AIMessage,
    *,
    sent_bytes: int,
    seconds: float,
    attempts: int = 1,
    first_s: float | None = None,
    price: Price = FREE,
) -> Reply:
    """Read a parsed message as the answer of a subject.

    Args:
        message: With LangChain's `usage_metadata` where the server reported usage.
        sent_bytes: Length of the request, to estimate its tokens by where it did not.
        seconds: From the question to the answer, retries included.
        attempts: It took to get an answer.
        first_s: Until the first piece of an answer that came in pieces.
        price: What the subject's tokens cost.
    """
    finish = message.response_metadata.get("finish_reason")
    refusal = message.additional_kwargs.get("refusal")
    text = str(message.text) or (refusal if isinstance(refusal, str) else "")
    reasoning = message.additional_kwargs.get("reasoning_content")
    return Reply(
        message=message,
        text=text,
        calls=_calls(message, cut_off=finish == "length"),
        usage=_usage(message, sent_bytes=sent_bytes, price=price),
        refused=bool(refusal) or finish == "content_filter",
        seconds=seconds,
        attempts=attempts,
        first_s=first_s,
        reasoning=reasoning if isinstance(reasoning, str) else "",
        finish=str(finish or ""),
        served=str(message.response_metadata.get("model_name") or ""),
    )


def _calls(message: AIMessage, *, cut_off: bool) -> tuple[ToolCall, ...]:
    sound = [
        ToolCall(id=call["id"] or f"call_{index}", name=call["name"], **_checked(call["args"]))
        for index, call in enumerate(message.tool_calls)
    ]
    cut = "; the answer was cut off at its length limit" if cut_off else ""
    malformed = [
        ToolCall(
            id=call["id"] or f"call_{index}",
            name=call["name"] or "",
            arguments={},
            problem=(call["error"] or "the arguments are not valid JSON") + cut,
        )
        for index, call in enumerate(message.invalid_tool_calls, start=len(sound))
    ]
    return (*sound, *malformed)


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call's arguments, and what is wrong with those that nothing here could write down."""
    if nested_too_deeply(arguments):
        return {"arguments": {}, "problem": TOO_DEEP}
    return {"arguments": arguments}


def _usage(message: AIMessage, *, sent_bytes: int, price: Price) -> Usage:
    reported = message.usage_metadata
    if reported is not None and reported["input_tokens"] + reported["output_tokens"] > 0:
        prompt, completion = reported["input_tokens"], reported["output_tokens"]
        details = reported.get("input_token_details", {})
        cached = min(details.get("cache_read") or 0, prompt)
        written = min(details.get("cache_creation") or 0, prompt - cached)
    else:
        reported = None
        arguments = sum(len(json.dumps(call["args"])) for call in message.tool_calls)
        prompt = -(-sent_bytes // BYTES_PER_TOKEN)
        completion = -(-(len(str(message.text).encode()) + arguments) // BYTES_PER_TOKEN)
        cached = written = 0
    return Usage(
        calls=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        money=price.of(prompt=prompt, completion=completion, cached=cached, written=written),
        estimated=reported is None,
    )
