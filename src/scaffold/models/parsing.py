"""What a server sent, as a message of LangChain's.

What servers and subjects send in place of a proper tool call is set apart, because a call that cannot be
parsed is the subject's failure to act and not the server's failure to answer. langchain-openai's own
parsing makes a dozen objects of an answer, two of which are looked at; here it is one.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import AIMessage, InvalidToolCall
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TOO_DEEP", "loads", "message_of", "nested_too_deeply"]

_REASONING = ("reasoning_content", "reasoning")
_THOUGHT = re.compile(r"\s*(?:<think>)?(?P<thought>(?:(?!<think>).)*?)</think>\s*", re.DOTALL)
"""Where no parser of the server's set it apart; templates that open the tag leave only its end."""

DEEPEST = 64
"""Levels of arrays and objects in a call's arguments; what writes and reads the record ends at 254."""
TOO_DEEP = f"the arguments are nested more than {DEEPEST} levels deep"

MOST_TOKENS = 10**12
"""No request has more; a server that says so does not count tokens."""


def message_of(answer: dict[str, Any]) -> AIMessage:
    """Return the first choice of a chat completion.

    The reasoning and a refusal stand in `additional_kwargs`, why it stopped and which model it was in
    `response_metadata`, calls that no tool could run among the `invalid_tool_calls`.

    Args:
        answer: as the server sent it.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it is no chat completion.
    """
    choice = answer["choices"][0]
    if choice.get("error"):
        raise ValueError("an error in place of a choice")
    sent = choice["message"]
    if sent.get("role") not in {"assistant", None}:
        raise TypeError("not an assistant's message")
    content, reasoning = _apart(_text(sent.get("content")), sent)
    calls, malformed = _calls(sent.get("tool_calls"))
    told = {"refusal": sent.get("refusal"), "reasoning_content": reasoning, "audio": sent.get("audio")}
    return AIMessage.model_construct(  # everything was looked at: validation would be a second look
        content=content,
        tool_calls=calls,
        invalid_tool_calls=malformed,
        additional_kwargs={name: said for name, said in told.items() if said},
        response_metadata={
            "finish_reason": choice.get("finish_reason"),
            "model_name": answer.get("model"),
            "model_provider": "openai",
            **({"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}),
        },
        usage_metadata=_usage(answer.get("usage")),
    )


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
    if not isinstance(value, list | dict):
        return False
    if not levels:
        return True
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, list | dict) and nested_too_deeply(inner, levels - 1):
            return True
    return False


def _text(content: object) -> str:
    """Return a message's words, which some servers send in parts."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise TypeError("the content is neither a text nor parts of one")
    return "".join(part.get("text") or "" for part in content)


def _apart(content: str, sent: Mapping[str, Any]) -> tuple[str, str]:
    """Return what was said and what was thought before it, wherever the server put that."""
    told = next((said for key in _REASONING if isinstance(said := sent.get(key), str)), "")
    thought = _THOUGHT.match(content) if "</think>" in content else None
    if thought is None:
        return content, told
    return content[thought.end() :], told or thought["thought"].strip()


def _usage(reported: object) -> UsageMetadata | None:
    """Return what a server reported of its use of tokens, or None where that is no account of it."""
    if not isinstance(reported, dict):
        return None
    prompt, completion = (_tokens(reported.get(f"{kind}_tokens")) for kind in ("prompt", "completion"))
    if prompt is None or completion is None:
        return None
    usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
    if details := _of_prompt(reported):
        usage["input_token_details"] = details
    if reasoning := _detail(reported, "completion_tokens_details", "reasoning_tokens"):
        usage["output_token_details"] = OutputTokenDetails(reasoning=reasoning)
    return usage


def _of_prompt(reported: Mapping[str, Any]) -> InputTokenDetails:
    """Return what of a prompt was read from a cache or written to one, by whichever name servers tell it."""
    details = InputTokenDetails()
    kind = "prompt_tokens_details"
    if cached := _detail(reported, kind, "cached_tokens") or _tokens(reported.get("prompt_cache_hit_tokens")):
        details["cache_read"] = cached
    if written := _detail(reported, kind, "cache_write_tokens") or _detail(
        reported, kind, "cache_creation_tokens"
    ):
        details["cache_creation"] = written
    return details


def _detail(reported: Mapping[str, Any], kind: str, name: str) -> int | None:
    details = reported.get(kind)
    return _tokens(details.get(name)) if isinstance(details, dict) else None


def _tokens(count: object) -> int | None:
    if count is None:
        return 0
    whole = isinstance(count, int | float) and not isinstance(count, bool) and count == count // 1
    return int(count) if whole and 0 <= count <= MOST_TOKENS else None  # type: ignore[call-overload, operator]


def _calls(sent: Any) -> tuple[list[LangChainToolCall], list[InvalidToolCall]]:
    """Return the calls that can be run, and those that no tool could, each with its problem."""
    sound: list[LangChainToolCall] = []
    malformed: list[InvalidToolCall] = []
    used: set[str] = set()
    for call in sent or ():
        function = call.get("function") or {}
        identity = str(call.get("id") or "")
        if not identity or identity in used:  # a result must fit one call alone
            identity = f"call_{secrets.token_hex(6)}"
        used.add(identity)
        name, given = function.get("name"), function.get("arguments")
        arguments, problem = _arguments(given)
        if not isinstance(name, str) or not name:
            name, problem = "", "the call names no tool"
        if problem is None:
            sound.append(LangChainToolCall(type="tool_call", id=identity, name=name, args=arguments))
        else:
            text = given if isinstance(given, str) else json.dumps(given)
            malformed.append(
                InvalidToolCall(type="invalid_tool_call", id=identity, name=name, args=text, error=problem)
            )
    return sound, malformed


def _arguments(given: Any) -> tuple[dict[str, Any], str | None]:
    """Return arguments as an object, or the problem with them."""
    if given is None or given == "":
        return {}, None
    try:
        parsed = loads(given) if isinstance(given, str) else given
    except ValueError as fault:
        return {}, f"the arguments are not valid JSON ({fault})"
    if not isinstance(parsed, dict):
        return {}, "the arguments are not a JSON object"
    if nested_too_deeply(parsed):
        return {}, TOO_DEEP
    return parsed, None
