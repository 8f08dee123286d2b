"""One chat-completions server, asked until it answers or patience ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

from scaffold.broker.turn import turn_under_way
from scaffold.errors import ContextFull, ModelFailed
from scaffold.models.complaints import (
    as_refusal,
    error_status,
    filtered,
    for_good,
    said_in,
    too_long,
    trimmed,
)
from scaffold.models.patience import PATIENT, Patience, Retry, retry_after
from scaffold.models.transport import Answer, Buffer, Transport, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaffold.broker.pace import End
    from scaffold.broker.turn import Turn

__all__ = ["Endpoint", "Got", "Unreadable"]

PATH = "/chat/completions"

RETRIED = frozenset({408, 409, 425, 429}) | frozenset(range(500, 600))

TOO_MUCH = frozenset({429, 503, 529})
"""By which a server says that it has more to do than it can."""
FILTERED = frozenset({400, 403, 451})
"""By which gateways say that a filter of theirs stopped a question."""

T = TypeVar("T")


class Unreadable(Exception):
    """The server answered something that is no chat completion; the message goes on after the status."""


@dataclass(frozen=True, kw_only=True)
class _Fault:
    cause: str
    retried: bool = True
    asked_s: float | None = None
    end: End = "broken"
    """For the pace."""
    full: bool = False
    """The conversation is longer than the subject can take."""


@dataclass(frozen=True, kw_only=True)
class Got(Generic[T]):
    """What an answer was read as, and what it took to get it."""

    read: T
    attempts: int
    first_s: float | None = None
    """Until the first piece of the answer, where it came in pieces."""


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

    async def complete(self, body: Buffer, read: Callable[[bytes], T]) -> Got[T]:
        """Send a request until its answer can be read.

        Each attempt has a place at the provider's pace, which is given back while nothing is asked.

        Args:
            body: The whole JSON request.
            read: Makes something of an answer's body, or raises `Unreadable`.

        Raises:
            ModelFailed: patience ended, or the server refused in a way that asking again cannot change.
            ContextFull: it refused because the conversation is too long.
            CancelledError: whoever asked would not wait; a note on it says what was waited for.
        """
        attempt, fault, waited_s = 1, None, 0.0
        turn = turn_under_way()
        try:
            await turn.take()
            while isinstance(found := await self._attempt(body, read, attempt), _Fault):
                fault = found
                pause = self._pause(fault, turn, attempt=attempt, waited_s=waited_s)
                if self.on_retry is not None:
                    self.on_retry(Retry(attempt=attempt, cause=fault.cause, wait_s=pause))
                await turn.again_in(pause)
                attempt, waited_s = attempt + 1, waited_s + pause
        except asyncio.CancelledError as end:
            times = "once" if attempt == 1 else f"{attempt} times"
            end.add_note(f"asked {times}: {fault.cause}" if fault else f"asked {self.transport.address}")
            raise
        return found

    def _pause(self, fault: _Fault, turn: Turn, *, attempt: int, waited_s: float) -> float:
        """Give the place back, and return how long to wait before the next attempt.

        Raises:
            ModelFailed: there is to be none.
        """
        pause = None
        if fault.retried:
            pause = self.patience.pause(attempt=attempt, waited_s=waited_s, asked_s=fault.asked_s)
        # A wait that this call does not begin is forced on no other either.
        asked_s = 0.0 if pause is None else fault.asked_s or 0.0
        turn.give_back(fault.end, asked_s=asked_s, rest_s=pause or 0.0)
        if pause is None:
            raise (ContextFull if fault.full else ModelFailed)(fault.cause, attempts=attempt)
        return pause

    async def _attempt(self, body: Buffer, read: Callable[[bytes], T], attempt: int) -> Got[T] | _Fault:
        """Send a request once."""
        try:
            answer = await self.transport.post(PATH, body)
        except Unreachable as silence:
            ends: dict[str, End] = {"away": "refused", "late": "late", "broken": "broken"}
            return self._fault(str(silence), end=ends[silence.how])
        status = answer.status
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            try:
                return Got(read=read(answer.body), attempts=attempt, first_s=answer.first_s)
            except Unreadable as nonsense:
                if (inside := error_status(answer.body)) is None:
                    return self._fault(f"{self._answered(answer)} {nonsense}")
                status = inside
        if status in FILTERED and (told := filtered(answer.body)) is not None:
            return Got(read=read(as_refusal(told)), attempts=attempt)
        return await self._explain(answer, status)

    def _answered(self, answer: Answer) -> str:
        return f"{self.transport.address}{PATH} answered {answer.status}"

    def _fault(self, cause: str, **more: Any) -> _Fault:
        return _Fault(cause=self._without_secret(cause), **more)

    async def _explain(self, answer: Answer, status: int) -> _Fault:
        """Say what a refusal comes to.

        Args:
            answer: the refusal.
            status: its own, or what the error inside an answer of status 200 says.
        """
        inside = "" if status == answer.status else f" with an error {status}"
        cause = f"{self._answered(answer)}{inside}: {said_in(answer.body)}"
        full = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or too_long(answer.body)
        if status in RETRIED and not for_good(answer.body):
            asked_s = retry_after(answer.headers.get("Retry-After"))
            if asked_s is not None:
                cause += f" (it asks to wait {asked_s:.0f} s)"
            busy = status in TOO_MUCH or asked_s is not None
            return self._fault(cause, asked_s=asked_s, full=full, end="refused" if busy else "broken")
        return self._fault(cause + await self._mend(status), retried=False, full=full)

    async def _mend(self, status: int) -> str:
        match status:
            case HTTPStatus.UNAUTHORIZED:
                what = "another key" if self.secret else "the key"
                return f". Set {what} in OPENAI_API_KEY"
            case HTTPStatus.PAYMENT_REQUIRED | HTTPStatus.TOO_MANY_REQUESTS:
                return ". The account has nothing left to pay with"
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
        return f". The server has {trimmed(', '.join(nearest), 300)}{more}"

    def _without_secret(self, text: str) -> str:
        return text.replace(self.secret, "***") if self.secret else text
