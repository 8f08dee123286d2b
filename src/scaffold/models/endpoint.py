"""One chat-completions server, asked until it answers or patience ends."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from scaffold.errors import ContextFull, ModelFailed
from scaffold.models.patience import PATIENT, Patience, Retry, retry_after
from scaffold.models.transport import Answer, Buffer, Transport, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Endpoint", "Unreadable", "said_in", "too_long"]

PATH = "/chat/completions"

RETRIED = frozenset({408, 409, 425, 429}) | frozenset(range(500, 600))

# As OpenAI, vLLM, SGLang, llama.cpp and Anthropic put it.
_FULL = re.compile(
    r"context[ _](length|size|window)|exceed_context|maximum model length"
    r"|prompt is too long|input tokens exceed|too many (input|prompt) tokens",
    re.IGNORECASE,
)

T = TypeVar("T")


class Unreadable(Exception):
    """The server answered something that is no chat completion; the message goes on after the status."""


@dataclass(frozen=True, kw_only=True)
class _Fault:
    cause: str
    retried: bool = True
    asked_s: float | None = None
    full: bool = False
    """The conversation is longer than the subject can take."""


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
            ContextFull: it refused because the conversation is too long.
            CancelledError: whoever asked would not wait; a note on it says what was waited for.
        """
        attempt, fault, waited_s = 1, None, 0.0
        try:
            while isinstance(found := await self._attempt(body, read), _Fault):
                fault, pause = found, None
                if fault.retried:
                    pause = self.patience.pause(attempt=attempt, waited_s=waited_s, asked_s=fault.asked_s)
                if pause is None:
                    kind = ContextFull if fault.full else ModelFailed
                    raise kind(fault.cause, attempts=attempt)
                if self.on_retry is not None:
                    self.on_retry(Retry(attempt=attempt, cause=fault.cause, wait_s=pause))
                await asyncio.sleep(pause)
                attempt, waited_s = attempt + 1, waited_s + pause
        except asyncio.CancelledError as end:
            times = "once" if attempt == 1 else f"{attempt} times"
            end.add_note(f"asked {times}: {fault.cause}" if fault else f"asked {self.transport.address}")
            raise
        return found[0], attempt

    async def _attempt(self, body: Buffer, read: Callable[[bytes], T]) -> tuple[T] | _Fault:
        """Send a request once; what was read comes in a tuple, to be told from a fault."""
        try:
            answer = await self.transport.post(PATH, body)
            if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return await self._explain(answer)
            try:
                return (read(answer.body),)
            except Unreadable as nonsense:
                return self._fault(f"{self._answered(answer)} {nonsense}")
        except Unreachable as silence:
            return self._fault(str(silence))

    def _answered(self, answer: Answer) -> str:
        return f"{self.transport.address}{PATH} answered {answer.status}"

    def _fault(self, cause: str, **more: Any) -> _Fault:
        return _Fault(cause=self._without_secret(cause), **more)

    async def _explain(self, answer: Answer) -> _Fault:
        cause = f"{self._answered(answer)}: {said_in(answer.body)}"
        full = too_long(answer.body[:2000].decode(errors="replace"))
        if answer.status in RETRIED:
            asked_s = retry_after(answer.headers.get("Retry-After"))
            if asked_s is not None:
                cause += f" (it asks to wait {asked_s:.0f} s)"
            return self._fault(cause, asked_s=asked_s, full=full)
        return self._fault(cause + await self._mend(answer.status), retried=False, full=full)

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


def too_long(said: str) -> bool:
    """Whether what a server says is that the conversation is longer than the subject can take."""
    return _FULL.search(said) is not None


def said_in(body: bytes) -> str:
    """Return what a server says about its refusal, in whichever of the usual places it says it."""
    try:
        said: Any = orjson.loads(body)
        for key in ("error", "message", "detail"):
            if isinstance(said, dict) and said.get(key):
                said = said[key]
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
    except (ValueError, TypeError):  # no JSON, or nested too deeply to be written again
        text = body[:2000].decode(errors="replace")
    return _one_line(text, 300) or "nothing"


def _one_line(text: str, longest: int) -> str:
    """Return a server's text as one short printable line: it goes to terminals and reports."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= longest else line[:longest] + "..."
