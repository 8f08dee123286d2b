"""One chat-completions server, asked until it answers or patience ends."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from scaffold.errors import ModelFailed
from scaffold.models.patience import PATIENT, Patience, Retry, retry_after
from scaffold.models.transport import Answer, Buffer, Transport, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Endpoint", "Unreadable"]

PATH = "/chat/completions"

RETRIED = frozenset({408, 409, 425, 429}) | frozenset(range(500, 600))

T = TypeVar("T")


class Unreadable(Exception):
    """The server answered 200 with something that is no chat completion; the message says what."""


@dataclass(frozen=True, kw_only=True)
class _Fault:
    cause: str
    retried: bool
    asked_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The way to one server, with the patience to ask again and the manners to say what went wrong."""

    transport: Transport
    model: str
    """As the server is asked for it; named where the server does not know it."""
    secret: str | None = None
    """Struck out of everything the server says."""
    patience: Patience = PATIENT
    on_retry: Callable[[Retry], None] | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.transport.address})"

    async def complete(self, body: Buffer, read: Callable[[bytes], T]) -> tuple[T, int]:
        """Send a request until its answer can be read.

        Args:
            body: The whole JSON request.
            read: Makes something of an answer's body, or raises `Unreadable`.

        Returns:
            What was read, and the number of attempts it took.

        Raises:
            ModelFailed: patience ended, or the server refused in a way that asking again cannot change.
        """
        waited_s = 0.0
        for attempt in count(1):
            try:
                answer = await self.transport.post(PATH, body)
                if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    return read(answer.body), attempt
                fault = await self._explain(answer)
            except Unreachable as silence:
                fault = _Fault(cause=str(silence), retried=True)
            except Unreadable as nonsense:
                fault = _Fault(cause=f"{self.transport.address}{PATH} answered {nonsense}", retried=True)
            cause = self._without_secret(fault.cause)
            pause = None
            if fault.retried:
                pause = self.patience.pause(attempt=attempt, waited_s=waited_s, asked_s=fault.asked_s)
            if pause is None:
                raise ModelFailed(cause, attempts=attempt)
            if self.on_retry is not None:
                self.on_retry(Retry(attempt=attempt, cause=cause, wait_s=pause))
            await asyncio.sleep(pause)
            waited_s += pause
        raise AssertionError

    async def _explain(self, answer: Answer) -> _Fault:
        said = _message_of(answer.body)
        cause = f"{self.transport.address}{PATH} answered {answer.status}: {said}"
        if answer.status in RETRIED:
            asked_s = retry_after(answer.headers.get("Retry-After"))
            if asked_s is not None:
                cause += f" (it asks to wait {asked_s:.0f} s)"
            return _Fault(cause=cause, retried=True, asked_s=asked_s)
        return _Fault(cause=cause + await self._mend(answer.status), retried=False)

    async def _mend(self, status: int) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED:
                what = "another key" if self.secret else "the key"
                return f". Set {what} in OPENAI_API_KEY"
            case HTTPStatus.NOT_FOUND:
                return await self._known_models()
            case _:
                return ""

    async def _known_models(self) -> str:
        try:
            answer = await self.transport.get("/models")
            names = [str(entry["id"]) for entry in orjson.loads(answer.body)["data"]]
        except (Unreachable, ValueError, KeyError, TypeError):
            return ". Does the address of the API end in /v1?"
        if not names:
            return ". The server lists no model"
        nearest = get_close_matches(self.model, names, n=5, cutoff=0.3) or sorted(names)[:5]
        more = f" and {len(names) - len(nearest)} more" if len(names) > len(nearest) else ""
        return f". The server has {_one_line(', '.join(nearest), 300)}{more}"

    def _without_secret(self, text: str) -> str:
        return text.replace(self.secret, "***") if self.secret else text


def _message_of(body: bytes) -> str:
    """Return what a server says about its refusal, in whichever of the usual places it says it."""
    try:
        said: Any = orjson.loads(body)
    except ValueError:
        return _one_line(body[:2000].decode(errors="replace"), 300) or "nothing"
    for key in ("error", "message", "detail"):
        if isinstance(said, dict) and said.get(key):
            said = said[key]
    return _one_line(said if isinstance(said, str) else orjson.dumps(said).decode(), 300) or "nothing"


def _one_line(text: str, longest: int) -> str:
    """Return a server's text as one short printable line: it goes to terminals and reports."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= longest else line[:longest] + "..."
