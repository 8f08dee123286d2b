"""The chat-completions protocol as a server speaks it: what it takes, refuses and sends in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from scaffold.errors import BudgetSpent, ContextFull, KeyRevoked, ModelFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaffold.errors import ScaffoldFault

__all__ = ["Refusal", "list_of_models", "pieces_of", "read_request", "refusal_for"]

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer that is an error, in the protocol's own form."""

    status: int
    kind: str
    code: str
    message: str

    @property
    def body(self) -> bytes:
        """JSON."""
        error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return orjson.dumps({"error": error})


def _wrong(message: str, *, code: str = "invalid_request") -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "invalid_request_error", code, message)


def read_request(body: bytes) -> dict[str, Any]:
    """Return a request that can be passed on.

    Raises:
        Refusal: it is none, or asks for what is not given here.
    """
    try:
        request = orjson.loads(body)
    except ValueError:
        raise _wrong("the body is not JSON") from None
    if not isinstance(request, dict):
        raise _wrong("the body is not a JSON object")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("`messages` must be a list with at least one message")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise _wrong(f"messages[{place}] is no object with a role out of {', '.join(sorted(_ROLES))}")
    if request.get("n") not in {None, 1}:
        raise _wrong("`n` can only be 1 here: one answer a request", code="unsupported_value")
    if not isinstance(request.get("stream"), bool | None):
        raise _wrong("`stream` must be true or false")
    if not isinstance(request.get("stream_options"), dict | None):
        raise _wrong("`stream_options` must be an object")
    return request


def refusal_for(fault: ScaffoldFault) -> Refusal:
    """Say in the protocol's words why a call was not made or came to nothing."""
    match fault:
        case BudgetSpent(limit=limit):
            text = f"You exceeded your current quota: the trial's {limit} budget is spent."
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota", text)
        case KeyRevoked():
            return Refusal(HTTPStatus.UNAUTHORIZED, "authentication_error", "invalid_api_key", str(fault))
        case ContextFull():
            return _wrong(str(fault), code="context_length_exceeded")
        case ModelFailed():
            return Refusal(HTTPStatus.BAD_GATEWAY, "server_error", "model_failed", str(fault))
        case _:
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "server_error", "internal", str(fault))


def list_of_models(name: str) -> bytes:
    """Return the one model there is as the protocol lists models."""
    entry = {"id": name, "object": "model", "created": 0, "owned_by": "redline"}
    return orjson.dumps({"object": "list", "data": [entry]})


def pieces_of(answer: Mapping[str, Any], *, usage_apart: bool) -> Iterator[bytes]:
    """Yield an answer as the server-sent events of a stream, made from the whole.

    Args:
        answer: a `chat.completion`.
        usage_apart: the client asked for usage in an event of its own; else it comes with the last piece.
    """
    choice = answer["choices"][0]
    message = choice["message"]
    shared = {name: answer[name] for name in ("id", "created", "model") if name in answer}
    shared["object"] = "chat.completion.chunk"

    def event(delta: dict[str, Any], **more: Any) -> bytes:
        finish = more.pop("finish_reason", None)
        chunk = {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for name in ("reasoning_content", "content", "refusal"):
        if message.get(name):
            yield event({name: message[name]})
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield event({"tool_calls": [{"index": index, **call}]})
    usage = answer.get("usage")
    along = {"usage": usage} if usage and not usage_apart else {}
    yield event({}, finish_reason=choice.get("finish_reason") or "stop", **along)
    if usage and usage_apart:
        yield b"data: " + orjson.dumps({**shared, "choices": [], "usage": usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"
