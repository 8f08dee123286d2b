"""An answer that comes in pieces: server-sent events, put together into the completion they tell of."""

from __future__ import annotations

import re
from typing import Any

import orjson

__all__ = ["EVENT_STREAM", "Assembly", "Events"]

EVENT_STREAM = "text/event-stream"
_DONE = "[DONE]"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
_SAID_ONCE = ("id", "created", "model")


class Events:
    """Takes the bytes of a stream as they come, and gives out the data of each event that is whole."""

    def __init__(self) -> None:
        self._left = b""
        self._lines: list[str] = []
        """Of data, of an event that has not ended."""

    def feed(self, piece: bytes) -> list[str]:
        """Return the data of the events that end in this piece."""
        held = self._left + piece
        # The last byte may be the first half of a line's end.
        usable = held[:-1] if held.endswith(b"\r") else held
        *lines, rest = _LINE_END.split(usable)
        self._left = rest + held[len(usable) :]
        return self._take(lines)

    def end(self) -> list[str]:
        """Return what is left: servers forget the blank line at the end."""
        lines = _LINE_END.split(self._left)
        self._left = b""
        return self._take([*lines, b""])

    def _take(self, lines: list[bytes]) -> list[str]:
        events = []
        for line in lines:
            name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
            if name == b"data":
                self._lines.append(value.removeprefix(b" ").decode(errors="replace"))
            elif not line and self._lines:
                events.append("\n".join(self._lines))
                self._lines.clear()
        return events


class Assembly:
    """The completion that a stream of `chat.completion.chunk` objects tells of."""

    def __init__(self) -> None:
        self.done = False
        """Nothing more is to come, by the server's word."""
        self._events = Events()
        self._shared: dict[str, Any] = {}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: list[dict[str, Any]] = []
        self._by_index: dict[Any, dict[str, Any]] = {}
        self._finish: str | None = None
        self._usage: Any = None
        self._wrong: bytes | None = None
        """What came that was no piece of an answer: an error, or no JSON."""
        self.began = False
        """Whether any of the answer has come."""

    @property
    def whole(self) -> bool:
        """Whether the answer is complete, or never will be: a stream that breaks off now does no harm."""
        return self.done or self._finish is not None or self._wrong is not None

    def feed(self, piece: bytes) -> None:
        """Take bytes in as they come."""
        self._take(self._events.feed(piece))

    def body(self) -> bytes:
        """Return the answer as a server that does not stream would have sent it."""
        left = self._events.end()
        if self._finish is None or all(map(_parses, left)):  # what comes after the last word may be cut
            self._take(left)
        if self._wrong is not None:
            return self._wrong
        if not self.began and self._finish is None:
            return b""
        message = {**self._message, **({"tool_calls": self._calls} if self._calls else {})}
        finish = self._finish or ("tool_calls" if self._calls else "stop")
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return orjson.dumps(
            {**self._shared, "object": "chat.completion", "choices": [choice], "usage": self._usage}
        )

    def _take(self, events: list[str]) -> None:
        for data in events:
            if self.done:
                return
            if data.strip() == _DONE:
                self.done = True
            elif data.strip():
                self._add(data)

    def _add(self, data: str) -> None:
        try:
            chunk = orjson.loads(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict) or chunk.get("error"):
            self._wrong, self.done = data.encode(), True
            return
        for name in _SAID_ONCE:
            if chunk.get(name) and name not in self._shared:
                self._shared[name] = chunk[name]
        if chunk.get("usage") is not None:
            self._usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            if isinstance(choice, dict) and not choice.get("index"):
                if choice.get("error"):
                    self._wrong, self.done = orjson.dumps({"error": choice["error"]}), True
                self._finish = choice.get("finish_reason") or self._finish
                delta = choice.get("delta") or choice.get("message")
                if isinstance(delta, dict):
                    self._say(delta)

    def _say(self, delta: dict[str, Any]) -> None:
        for name in _TEXTS:
            said = _text(delta.get(name))
            if said is not None:
                self._message[name] = (self._message.get(name) or "") + said
                self.began = self.began or bool(said)
        for call in delta.get("tool_calls") or ():
            if isinstance(call, dict):
                self._call(call)
                self.began = True

    def _call(self, piece: dict[str, Any]) -> None:
        """Add to the call that a piece belongs to: by its index, or to the latest where it has none."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        index, identity, name = piece.get("index"), piece.get("id"), function.get("name")
        call = self._by_index.get(index) if index is not None else self._latest(identity)
        if call is None or (identity and name and call["id"] not in {None, identity}):
            call = {"id": None, "type": "function", "function": {"name": None, "arguments": ""}}
            self._calls.append(call)
            self._by_index[index] = call
        call["id"] = call["id"] or identity
        known = call["function"]
        if isinstance(name, str) and name != known["name"]:
            known["name"] = (known["name"] or "") + name
        given = function.get("arguments")
        if isinstance(given, str) and isinstance(known["arguments"], str):
            known["arguments"] += given
        elif given is not None:
            known["arguments"] = given

    def _latest(self, identity: object) -> dict[str, Any] | None:
        if not self._calls or (identity and self._calls[-1]["id"] not in {None, identity}):
            return None
        return self._calls[-1]


def _text(said: object) -> str | None:
    """Return what a delta says, in whichever form; None where it says nothing."""
    if isinstance(said, list):
        return "".join(str(part.get("text") or "") for part in said if isinstance(part, dict))
    return said if isinstance(said, str) else None


def _parses(data: str) -> bool:
    try:
        orjson.loads(data)
    except ValueError:
        return data.strip() in {"", _DONE}
    return True
