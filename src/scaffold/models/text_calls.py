"""Reads tool calls out of plain text: the block a subject was asked for, and the habits of its training."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from scaffold.models.parsing import TOO_DEEP, nested_too_deeply
from scaffold.types import ToolCall

__all__ = ["parse_calls"]

_OPENING = re.compile(
    r"^[ \t]*```[ \t]*(?:tool(?:_call)?|(?P<json>json))[ \t]*\r?\n|<tool_call>", re.MULTILINE | re.IGNORECASE
)
"""A block of JSON may be anything; the others are meant as calls whatever is in them."""
_CLOSING = re.compile(r"^[ \t]*```[ \t]*$|</tool_call>", re.MULTILINE | re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)
_ARGUMENTS = ("arguments", "parameters")


def parse_calls(text: str, *, prefix: str) -> tuple[ToolCall, ...]:
    """Read the calls out of a subject's text.

    The JSON decides where a call ends, so a fence inside a string does no harm and a missing closing
    fence is forgiven. What is no call of a tool becomes a call with a problem, for the subject to mend;
    a block of JSON that has no look of a call is text.

    Args:
        text: Anything at all.
        prefix: Of the calls' ids.
    """
    calls: list[ToolCall] = []
    position = 0
    while opening := _OPENING.search(text, position):
        block, position = _block(text, opening.end())
        if opening["json"] and not block.looks_like_a_call:
            position = opening.end()
            continue
        identity = f"{prefix}_{len(calls)}"
        calls.append(ToolCall(id=identity, name=block.name, arguments=block.arguments, problem=block.problem))
    return tuple(calls)


@dataclass(kw_only=True)
class _Block:
    name: str = ""
    arguments: dict[str, Any]
    problem: str | None = None
    looks_like_a_call: bool = False


def _block(text: str, start: int) -> tuple[_Block, int]:
    """Read what stands at this place, and say where to read on."""
    try:
        call, end = _DECODER.raw_decode(text, start + _blank(text, start))
    except (json.JSONDecodeError, RecursionError) as fault:
        closing = _CLOSING.search(text, start)
        end = closing.end() if closing else len(text)
        return _Block(arguments={}, problem=_unreadable(fault, start)), end
    return _call_in(call), end


def _blank(text: str, start: int) -> int:
    rest = text[start:]
    return len(rest) - len(rest.lstrip())


def _unreadable(fault: json.JSONDecodeError | RecursionError, start: int) -> str:
    if isinstance(fault, RecursionError):
        return TOO_DEEP
    return f"the block is not valid JSON ({fault.msg} at character {max(fault.pos - start, 0)})"


def _call_in(found: object) -> _Block:
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return _Block(arguments={}, problem='the block is not a JSON object with a "name" and "arguments"')
    key = next((key for key in _ARGUMENTS if key in found), None)
    arguments = _opened(found[key]) if key else {}
    block = _Block(name=found["name"], arguments={}, looks_like_a_call=key is not None)
    if not isinstance(arguments, dict):
        block.problem = f'"{key}" is not a JSON object'
    elif nested_too_deeply(arguments):
        block.problem = TOO_DEEP
    else:
        block.arguments = arguments
    return block


def _opened(arguments: object) -> object:
    """Return arguments that were written as a text of JSON, as the protocol for native calls has them."""
    if isinstance(arguments, str):
        try:
            return _DECODER.decode(arguments)
        except (json.JSONDecodeError, RecursionError):
            return arguments
    return arguments
