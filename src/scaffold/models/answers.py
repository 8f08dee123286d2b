"""What a subject's answer comes to: text, calls, refusal, and what it cost.

ChatOpenAI's own parsing makes the message. Before it, what servers and subjects send in place of a
proper tool call is set apart, because a call that cannot be parsed is the subject's failure to act and
not the server's failure to answer.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import InvalidToolCall

from scaffold.models.price import FREE, Price
from scaffold.types import Reply, ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

__all__ = [
    "joined_text",
    "loads",
    "nested_too_deeply",
    "reply_from",
    "set_apart_malformed_calls",
    "set_apart_reasoning",
    "sound_usage",
]

BYTES_PER_TOKEN = 4
"""A usual mean, for servers that report no usage."""

_REASONING = ("reasoning_content", "reasoning")
_THOUGHT = re.compile(r"\s*(?:<think>)?(?P<thought>(?:(?!<think>).)*?)</think>\s*", re.DOTALL)
"""Where no parser of the server's set it apart; templates that open the tag leave only its end."""

DEEPEST = 64
"""Levels of arrays and objects in a call's arguments; what writes and reads the record ends at 254."""
TOO_DEEP = f"the arguments are nested more than {DEEPEST} levels deep"

MOST_TOKENS = 10**12
"""No request has more; a server that says so does not count tokens."""


def loads(text: str | bytes) -> Any:
    """Parse JSON as leniently as JSON allows: control characters pass, half a surrogate pair becomes `?`.

    Raises:
        ValueError: it is no JSON, or nested more deeply than can be read.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        lenient = json.loads(text, strict=False)
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def nested_too_deeply(value: object, levels: int = DEEPEST) -> bool:
    """Whether plain data has more than so many levels of arrays and objects."""
    if not isinstance(value, list | Mapping):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(nested_too_deeply(each, levels - 1) for each in inner)


def joined_text(content: list[Any]) -> str:
    """Return the text of content that comes in parts.

    Raises:
        AttributeError, TypeError: it is no list of parts.
    """
    return "".join(part.get("text") or "" for part in content)


def set_apart_reasoning(message: dict[str, Any]) -> str:
    """Take what a subject thought out of a server's message, wherever the server put it.

    Args:
        message: As the server sent it, its content a text or None; changed in place.
    """
    told = next((said for key in _REASONING if isinstance(said := message.get(key), str)), "")
    content: Any = message.get("content")
    thought = _THOUGHT.match(content) if isinstance(content, str) else None
    if thought is None:
        return told
    message["content"] = thought.string[thought.end() :]
    return told or str(thought["thought"]).strip()


def sound_usage(reported: object) -> dict[str, Any] | None:
    """Return what a server reported of its use of tokens, or None where that is no account of it."""
    if not isinstance(reported, dict):
        return None
    prompt, completion = (_tokens(reported.get(f"{kind}_tokens")) for kind in ("prompt", "completion"))
    if prompt is None or completion is None:
        return None
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for kind in ("prompt_tokens_details", "completion_tokens_details"):
        details = reported.get(kind)
        if isinstance(details, dict):
            usage[kind] = {name: count for name in details if (count := _tokens(details[name]))}
    return usage


def _tokens(count: object) -> int | None:
    if count is None:
        return 0
    whole = isinstance(count, int | float) and not isinstance(count, bool) and count == count // 1
    return int(count) if whole and 0 <= count <= MOST_TOKENS else None  # type: ignore[call-overload, operator]


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
            text = given if isinstance(given, str) else json.dumps(given)
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
    if nested_too_deeply(parsed):
        return "", TOO_DEEP
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
    reasoning = message.additional_kwargs.get("reasoning_content")
    return Reply(
        message=message,
        text=text,
        calls=_calls(message, cut_off=finish == "length"),
        usage=_usage(message, sent_bytes=sent_bytes, price=price),
        refused=bool(refusal) or finish == "content_filter",
        seconds=seconds,
        attempts=attempts,
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
        cached = min(reported.get("input_token_details", {}).get("cache_read") or 0, prompt)
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
