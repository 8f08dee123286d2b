"""What a subject's answer comes to: text, calls, refusal, and what it cost.

ChatOpenAI's own parsing makes the message. Before it, what servers and subjects send in place of a
proper tool call is set apart, because a call that cannot be parsed is the subject's failure to act and
not the server's failure to answer.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import InvalidToolCall

from scaffold.models.price import FREE, Price
from scaffold.types import Reply, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

__all__ = ["loads", "reply_from", "set_apart_malformed_calls"]

BYTES_PER_TOKEN = 4
"""A usual mean, for servers that report no usage."""


def loads(text: str | bytes) -> Any:
    """Parse JSON as leniently as JSON allows: control characters pass, half a surrogate pair becomes `?`.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        lenient = json.loads(text, strict=False)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode(errors="replace"))


def set_apart_malformed_calls(message: dict[str, Any]) -> list[InvalidToolCall]:
    """Take the calls out of a server's message that no tool could run; give the others what they lack.

    Args:
        message: As the server sent it; changed in place.

    Returns:
        The calls taken out, each with its problem.
    """
    sound, malformed = [], []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        identity = str(call.get("id") or f"call_{secrets.token_hex(6)}")
        name, given = function.get("name"), function.get("arguments")
        arguments, problem = _arguments(given)
        if not isinstance(name, str) or not name:
            name, problem = "", "the call names no tool"
        if problem is None:
            sound.append(
                {"type": "function", "id": identity, "function": {"name": name, "arguments": arguments}}
            )
        else:
            text = given if isinstance(given, str) else orjson.dumps(given).decode()
            malformed.append(
                InvalidToolCall(type="invalid_tool_call", id=identity, name=name, args=text, error=problem)
            )
    message["tool_calls"] = sound
    return malformed


def _arguments(given: Any) -> tuple[str, str | None]:
    """Return arguments as the text of a JSON object, or the problem with them."""
    if given is None or given == "":
        return "{}", None
    try:
        parsed = loads(given) if isinstance(given, str) else given
    except ValueError as fault:
        return "", f"the arguments are not valid JSON ({fault})"
    if not isinstance(parsed, dict):
        return "", "the arguments are not a JSON object"
    return orjson.dumps(parsed).decode(), None


def reply_from(
    message: AIMessage,
    *,
    sent_bytes: int,
    seconds: float,
    attempts: int = 1,
    price: Price = FREE,
) -> Reply:
    """Read a parsed message as the answer of a subject.

    Args:
        message: With LangChain's `usage_metadata` where the server reported usage.
        sent_bytes: Length of the request, to estimate its tokens by where it did not.
        seconds: From the question to the answer, retries included.
        attempts: It took to get an answer.
        price: What the subject's tokens cost.
    """
    finish = message.response_metadata.get("finish_reason")
    refusal = message.additional_kwargs.get("refusal")
    text = str(message.text) or (refusal if isinstance(refusal, str) else "")
    return Reply(
        message=message,
        text=text,
        calls=_calls(message, cut_off=finish == "length"),
        usage=_usage(message, sent_bytes=sent_bytes, price=price),
        refused=bool(refusal) or finish == "content_filter",
        seconds=seconds,
        attempts=attempts,
    )


def _calls(message: AIMessage, *, cut_off: bool) -> tuple[ToolCall, ...]:
    sound = [
        ToolCall(id=call["id"] or f"call_{index}", name=call["name"], arguments=call["args"])
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


def _usage(message: AIMessage, *, sent_bytes: int, price: Price) -> Usage:
    reported = message.usage_metadata
    if reported is not None and reported["input_tokens"] + reported["output_tokens"] > 0:
        prompt, completion = reported["input_tokens"], reported["output_tokens"]
        cached = reported.get("input_token_details", {}).get("cache_read") or 0
    else:
        reported = None
        arguments = sum(len(json.dumps(call["args"])) for call in message.tool_calls)
        prompt = -(-sent_bytes // BYTES_PER_TOKEN)
        completion = -(-(len(str(message.text).encode()) + arguments) // BYTES_PER_TOKEN)
        cached = 0
    return Usage(
        calls=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        money=price.of(prompt=prompt, completion=completion, cached=cached),
        estimated=reported is None,
    )
