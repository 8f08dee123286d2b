"""Conversations and tools as the bytes that go over the wire."""

from __future__ import annotations

import json
import weakref
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_core.messages import BaseMessage, ToolCall
    from pydantic import BaseModel

    from scaffold.protocols import Tool

__all__ = ["ConversationWriter", "tool_schemas"]

_OWN = frozenset({"tool_calls", "function_call", "audio", "name"})
"""Of an answer's further fields, those that langchain-openai sends back."""

MOST_ADDED = 64
"""Messages between two requests of a conversation; one that grew by more is written anew."""


class _Written(weakref.ref["BaseMessage"]):
    """A conversation as it was last written, for as long as its last message lives."""

    __slots__ = ("before", "body", "key")
    key: int
    before: Sequence[BaseMessage]
    """All messages but the last, which would otherwise keep itself alive."""
    body: bytearray


class ConversationWriter:
    """Writes the requests of conversations that grow; each message is converted and serialised once.

    The bytes of a conversation are kept, and the next request appends to them, so that a request costs the
    same at any length. What was written is taken up again only if every message in it is the same as
    before; editing a message object in place after it was sent goes unnoticed.
    """

    def __init__(self, convert: Callable[[BaseMessage], dict[str, Any]]) -> None:
        self._convert = convert
        self._written: dict[int, _Written] = {}

    def __len__(self) -> int:
        return len(self._written)

    @contextmanager
    def request(self, settings: bytes, messages: Sequence[BaseMessage]) -> Iterator[bytearray]:
        """Lend the body of a request; it is taken back and kept when the block ends well.

        Args:
            settings: The rest of the request, a JSON object with something in it.
            messages: What it is about.
        """
        body = self._write(messages)
        length = len(body)
        body += b"]," + settings[1:]
        yield body
        # A server that answers early can leave the connection reading: then the bytes are its to keep.
        with suppress(BufferError):
            del body[length:]
            self._keep(body, messages)

    def size(self, settings: bytes, messages: Sequence[BaseMessage]) -> int:
        """Return the bytes of a request's body; what had to be written for it is kept for the request."""
        body = self._write(messages)
        self._keep(body, messages)
        return len(body) + len(b"],") + len(settings) - 1

    def _write(self, messages: Sequence[BaseMessage]) -> bytearray:
        """Write what was not written before; the body is the caller's, to be used and kept."""
        body, count = self._take(messages)
        for message in messages[count:]:
            if count:
                body += b","
            body += _dumps(self._converted(message))
            count += 1
        return body

    @cached_property
    def _usual(self) -> bool:
        """False for models that are spoken to otherwise, by their names: langchain-openai knows which."""
        return self._convert(SystemMessage("")) == {"role": "system", "content": ""}

    def _converted(self, message: BaseMessage) -> dict[str, Any]:
        plain = _plain(message) if self._usual else None
        return plain or _with_readable_arguments(self._convert(message))

    def _take(self, messages: Sequence[BaseMessage]) -> tuple[bytearray, int]:
        """Find what was written of a conversation, and take it out: two requests never share it."""
        for count in range(len(messages), max(len(messages) - MOST_ADDED, 0), -1):
            written = self._written.get(id(messages[count - 1]))
            if written is not None and written.before == messages[: count - 1]:
                del self._written[written.key]
                return written.body, count
        return bytearray(b'{"messages":['), 0

    def _keep(self, body: bytearray, messages: Sequence[BaseMessage]) -> None:
        if messages:
            written = _Written(messages[-1], self._forget)
            written.key = id(messages[-1])
            written.before = messages[:-1]
            written.body = body
            self._written[written.key] = written

    def _forget(self, written: weakref.ref[BaseMessage]) -> None:
        if isinstance(written, _Written) and self._written.get(written.key) is written:
            del self._written[written.key]


def _plain(message: BaseMessage) -> dict[str, Any] | None:
    """Write the commonest messages as langchain-openai does; None leaves a message to it."""
    content = message.content
    if not isinstance(content, str) or message.name is not None:
        return None
    plain: dict[str, Any] | None = None
    match message:
        case ToolMessage():
            plain = {"content": content, "role": "tool", "tool_call_id": message.tool_call_id}
        case AIMessage() if not message.invalid_tool_calls and _OWN.isdisjoint(message.additional_kwargs):
            plain = {"content": content, "role": "assistant"}
            if message.tool_calls:
                plain |= {"content": content or None, "tool_calls": [_call(c) for c in message.tool_calls]}
        case HumanMessage() | SystemMessage() if not message.additional_kwargs:
            plain = {"content": content, "role": "user" if message.type == "human" else "system"}
    return plain


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    return {"type": "function", "id": call["id"], "function": {"name": call["name"], "arguments": arguments}}


def _dumps(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:  # half a surrogate pair, which only the standard library writes
        return json.dumps(message, ensure_ascii=False).encode(errors="replace")


def _with_readable_arguments(message: dict[str, Any]) -> dict[str, Any]:
    """Wrap arguments that are no JSON object: chat templates parse them, and servers answer 400."""
    for call in message.get("tool_calls") or ():
        function = call["function"]
        try:
            readable = isinstance(orjson.loads(function["arguments"]), dict)
        except (ValueError, TypeError):
            readable = False
        if not readable:
            function["arguments"] = orjson.dumps({"malformed": function["arguments"]}).decode()
    return message


def tool_schemas(
    tools: Sequence[Tool], *, strict: bool = False, longest_text: int | None = None
) -> list[dict[str, Any]]:
    """Return the tools as the chat-completions protocol describes functions.

    Args:
        tools: what may be called.
        strict: asks the server to hold each call to its schema.
        longest_text: bounds every free text of the arguments, and holds it to plain characters.
    """
    return [
        _schema(tool.name, tool.description, tool.arguments, strict=strict, longest_text=longest_text)
        for tool in tools
    ]


@lru_cache(maxsize=256)
def _schema(
    name: str, description: str, arguments: type[BaseModel], *, strict: bool, longest_text: int | None
) -> dict[str, Any]:
    parameters = arguments.model_json_schema()
    if longest_text is not None:
        parameters = _bounded(parameters, longest_text)
    parameters.pop("title", None)
    parameters.pop("description", None)
    for property_ in parameters.get("properties", {}).values():
        property_.pop("title", None)
    function: dict[str, Any] = {"name": name, "description": description, "parameters": parameters}
    if strict:
        function["strict"] = True
    return {"type": "function", "function": function}


_MOST_ITEMS = 4


def _bounded(schema: Any, longest: int) -> Any:
    """Give every part of a schema an end: to texts, which are the pattern's, to lists and to free objects."""
    if isinstance(schema, list):
        return [_bounded(part, longest) for part in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {key: _bounded(part, longest) for key, part in schema.items()}
    match schema.get("type"):
        case "string" if not {"enum", "const", "pattern", "format"} & schema.keys():
            bounded["pattern"] = f"^[a-z0-9 ./-]{{1,{longest}}}$"
            bounded.pop("minLength", None)
            bounded.pop("maxLength", None)
        case "array":
            bounded.setdefault("maxItems", _MOST_ITEMS)
        case "object":
            bounded["additionalProperties"] = False
    return bounded
