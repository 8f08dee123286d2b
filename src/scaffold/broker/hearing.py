"""What is new in the requests of a program that keeps its conversations itself."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Heard", "Hearing"]

_UNHEARD = frozenset({"messages", "stream", "stream_options"})
_MOST_KNOWN = 100_000


class Heard(NamedTuple):
    """One request, against all before it."""

    added: tuple[dict[str, str], ...]
    settings: dict[str, Any]
    end: bytes
    """Stands for the whole conversation up to its last message."""


class Hearing:
    """Knows which conversations were heard how far, so that the record says each message once.

    A conversation is known by a digest for each of its beginnings; one that was cut or rewritten is new from
    where it differs.
    """

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._settings: dict[str, Any] = {}

    def hear(self, request: Mapping[str, Any]) -> Heard:
        """Return what a request adds."""
        end = b""
        added: list[dict[str, str]] = []
        for message in request["messages"]:
            told = _told(message)
            end = _chained(end, told)
            if end in self._known:
                added.clear()
            else:
                added.append(told)
        settings = {name: value for name, value in request.items() if name not in _UNHEARD}
        changed = {name: value for name, value in settings.items() if self._settings.get(name) != value}
        self._settings = settings
        return Heard(tuple(added), changed, end)

    def answered(self, heard: Heard, answer: Mapping[str, Any]) -> None:
        """Know the request, and the answer where the client hands it back as it was."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.add(heard.end)
        self._known.add(_chained(heard.end, _told(answer["choices"][0]["message"])))


def _chained(before: bytes, told: dict[str, str]) -> bytes:
    return blake2b(before + orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _told(message: Mapping[str, Any]) -> dict[str, str]:
    """Return a message as the record keeps it, without what clients add or leave out at will."""
    content = message.get("content") or ""
    told = {
        "role": str(message.get("role")),
        "content": content if isinstance(content, str) else _json(content),
    }
    if calls := message.get("tool_calls"):
        told["tool_calls"] = _json([_call(call) for call in calls])
    if (answers := message.get("tool_call_id")) is not None:
        told["tool_call_id"] = str(answers)
    return told


def _call(call: Any) -> Any:
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        return call
    return [call.get("id"), call["function"].get("name"), call["function"].get("arguments")]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
