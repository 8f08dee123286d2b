"""What an answer depends on, as digests: the subject, its settings, tools and seed, the conversation."""

from __future__ import annotations

import json
import weakref
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import orjson

from scaffold.description import describe
from scaffold.models.encoding import MOST_ADDED, tool_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.protocols import Subject, Tool

__all__ = ["Conversations", "identity_of", "key_of", "key_of_request"]

_FORMAT = 1
"""Of keys and of what is kept under them; another one finds nothing of this one's."""

_BESIDE_THE_ANSWER = frozenset({"pace", "patience", "price", "request_timeout_s"})
"""Of a subject: how and at what cost it is asked, not what it is."""

_NOT_SENT = frozenset({"id", "response_metadata", "usage_metadata"})
"""Of a message: what its server said about it."""

_UNHEARD = frozenset({"model", "stream", "stream_options"})
"""Of a request: what redline decides, or what says only how the answer is to be sent."""


def identity_of(subject: Subject) -> bytes:
    """Return a digest of all about a subject that can decide its answers: model, address, settings."""
    provider = str(getattr(subject, "provider", ""))
    return _digest([_FORMAT, subject.name, provider, _essence(describe(subject))])


def _essence(described: Any) -> Any:
    if isinstance(described, list):
        return [_essence(each) for each in described]
    if not isinstance(described, dict):
        return described
    aside = _BESIDE_THE_ANSWER if "kind" in described else frozenset[str]()
    return {name: _essence(value) for name, value in described.items() if name not in aside}


def key_of(
    identity: bytes,
    conversation: bytes,
    *,
    tools: Sequence[Tool],
    tool_choice: Literal["auto", "none"],
    seed: int,
) -> bytes:
    """Return what an answer to a conversation is kept under.

    Args:
        identity: of the subject.
        conversation: all of it, by its digest.
        tools: what may be called.
        tool_choice: whether it may be.
        seed: of the request.
    """
    return _digest(["ask", identity.hex(), conversation.hex(), tool_schemas(tools), tool_choice, seed])


def key_of_request(identity: bytes, request: Mapping[str, Any], *, seed: int) -> bytes:
    """Return what an answer to a program's own request is kept under; it is read whole as it came whole."""
    asked = {name: value for name, value in request.items() if name not in _UNHEARD}
    return _digest(["relay", identity.hex(), asked, seed])


class _Digested(weakref.ref["BaseMessage"]):
    """A conversation's digest, for as long as its last message lives."""

    __slots__ = ("before", "key", "value")
    key: int
    before: Sequence[BaseMessage]
    value: bytes


class Conversations:
    """Digests conversations that grow: each message is read once, so a request costs the same at any length.

    What was read counts again only if every message in it is the same as before; editing a message
    object in place after it was sent goes unnoticed, as it does where requests are written.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Digested] = {}

    def __len__(self) -> int:
        return len(self._known)

    def digest(self, messages: Sequence[BaseMessage]) -> bytes:
        """Return the digest of a conversation, chained from message to message."""
        value, count = self._take(messages)
        for message in messages[count:]:
            value = blake2b(value + _bytes(_said(message)), digest_size=32).digest()
        self._keep(messages, value)
        return value

    def _take(self, messages: Sequence[BaseMessage]) -> tuple[bytes, int]:
        for count in range(len(messages), max(len(messages) - MOST_ADDED, 0), -1):
            known = self._known.get(id(messages[count - 1]))
            if known is not None and known.before == messages[: count - 1]:
                del self._known[known.key]
                return known.value, count
        return b"", 0

    def _keep(self, messages: Sequence[BaseMessage], value: bytes) -> None:
        if messages:
            known = _Digested(messages[-1], self._forget)
            known.key = id(messages[-1])
            known.before = messages[:-1]
            known.value = value
            self._known[known.key] = known

    def _forget(self, known: weakref.ref[BaseMessage]) -> None:
        if isinstance(known, _Digested) and self._known.get(known.key) is known:
            del self._known[known.key]


def _said(message: BaseMessage) -> dict[str, Any]:
    return {name: value for name, value in vars(message).items() if name not in _NOT_SENT}


def _digest(value: object) -> bytes:
    return blake2b(_bytes(value), digest_size=32).digest()


def _bytes(value: object) -> bytes:
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half a surrogate pair, or a number beyond 64 bits
        return json.dumps(value, default=str, sort_keys=True).encode()
