"""A chat-completions server that misbehaves in many named ways, from a seed, and keeps its own account.

Trials are told apart by the seed in their requests. What a trial is to come to follows from what it was sent:
`due` says so from the server's account alone.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

__all__ = ["WAYS", "Due", "Misbehaving", "Sent", "due"]

Place = Literal["again", "answer", "void", "another", "full"]
"""`again`: nothing was answered, and the same is to be asked again; `answer`: something was, whatever;
`void`: no more is to be asked; `another`: so too, but it was answered; `full`: it is too long."""


@dataclass
class Sent:
    """One response, as the server accounts for it."""

    way: str
    at: int
    """Messages in the conversation it answers."""
    place: Place
    tokens: int = 0
    acts: bool = False
    copies: bool = False
    finishes: bool = False
    refuses: bool = False


@dataclass(frozen=True)
class Asking:
    """One request."""

    request: web.Request
    raw: bytes
    rng: random.Random
    streams: bool
    finish_now: bool
    """The word is copied: what is left is to say so."""


Respond = "Callable[[Asking, Sent], Awaitable[web.StreamResponse]]"

# ------------------------------------------------------------------------------------ responses


def status(code: int, said: Any = "no", **headers: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def respond(_asking: Asking, _sent: Sent) -> web.StreamResponse:
        if isinstance(said, str):
            return web.Response(status=code, text=said, headers=named)
        return web.json_response({"error": said}, status=code, headers=named)

    return respond


def body(raw: bytes, kind: str = "application/json") -> Callable[..., Awaitable[web.StreamResponse]]:
    async def respond(_asking: Asking, _sent: Sent) -> web.StreamResponse:
        return web.Response(body=raw, content_type=kind)

    return respond


def broken(
    *pieces: bytes, then: Literal["abort", "close", "hang", "end"], kind: str = "application/json"
) -> Callable[..., Awaitable[web.StreamResponse]]:
    async def respond(asking: Asking, _sent: Sent) -> web.StreamResponse:
        transport = asking.request.transport
        assert transport is not None
        response = web.StreamResponse(headers={"Content-Type": kind})
        if pieces:
            if kind == "application/json":
                response.content_length = 1000
            await response.prepare(asking.request)
            for piece in pieces:
                await response.write(piece)
        if then == "hang":
            while not transport.is_closing():  # noqa: ASYNC110 - nothing tells when a client goes
                await asyncio.sleep(0.05)
        elif then == "abort":
            transport.abort()
        elif then == "close":
            transport.close()
        return response

    return respond


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


HALF = event({"choices": [{"index": 0, "delta": {"content": "I th"}}]})
EVENTS = "text/event-stream"


# -------------------------------------------------------------------------------------- answers


def call(name: str | None, arguments: str, identity: str = "c1") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


COPY = '{"command": "cp word.txt note.txt"}'


def answer(
    message: Callable[[], dict[str, Any]] | None = None,
    *,
    usage: Any = ...,
    finish: str = "",
    second: bool = False,
    model: str = "x-2026-01-01",
    **marks: bool,
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Answer with a message, or with the right one where none is given."""

    async def respond(asking: Asking, sent: Sent) -> web.StreamResponse:
        right = call("finish", '{"summary": "done"}') if asking.finish_now else call("shell", COPY)
        said = message() if message else {"content": None, "tool_calls": [right]}
        for mark, holds in marks.items():
            setattr(sent, mark, holds)
        if message is None:
            sent.acts, sent.finishes, sent.copies = True, asking.finish_now, not asking.finish_now
        told = usage
        if usage is ...:
            told = {
                "prompt_tokens": asking.rng.randint(100, 900),
                "completion_tokens": asking.rng.randint(5, 50),
            }
            sent.tokens = sum(told.values())
        else:
            sent.tokens = estimate(asking.raw, said)
        reason = finish or ("tool_calls" if said.get("tool_calls") else "stop")
        choices = [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": reason}]
        if second:
            other = {"role": "assistant", "content": "Something else."}
            choices.append({"index": 1, "message": other, "finish_reason": "stop"})
        whole = {"object": "chat.completion", "model": model, "choices": choices, "usage": told}
        if asking.streams and not second and asking.rng.random() < 0.5:
            return await streamed(asking.request, whole)
        return web.json_response(whole)

    return respond


def estimate(raw: bytes, said: Mapping[str, Any]) -> int:
    """Tokens where the server tells none: a quarter of the bytes."""
    arguments = [json.loads(each["function"]["arguments"]) for each in said.get("tool_calls", ())]
    written = len((said.get("content") or "").encode()) + sum(len(json.dumps(each)) for each in arguments)
    return -(-len(raw) // 4) + -(-written // 4)


async def streamed(request: web.Request, whole: dict[str, Any]) -> web.StreamResponse:
    """Send an answer in pieces, calls cut in the middle."""
    response = web.StreamResponse(headers={"Content-Type": EVENTS})
    await response.prepare(request)
    choice = whole["choices"][0]
    said = dict(choice["message"])
    calls = said.pop("tool_calls", ())

    def delta(finish: str | None = None, **more: Any) -> bytes:
        return event(
            {"model": whole["model"], "choices": [{"index": 0, "delta": more, "finish_reason": finish}]}
        )

    await response.write(b": keep-alive\r\n\r\n" + delta(**said))
    for index, each in enumerate(calls):
        text = each["function"]["arguments"]
        half = len(text) // 2
        first = {**each, "index": index, "function": {**each["function"], "arguments": text[:half]}}
        await response.write(delta(tool_calls=[first]))
        await response.write(delta(tool_calls=[{"index": index, "function": {"arguments": text[half:]}}]))
    await response.write(delta(choice["finish_reason"]))
    if whole["usage"] is not None:
        await response.write(event({"choices": [], "usage": whole["usage"]}))
    await response.write(b"data: [DONE]\n\n")
    return response


def saying(content: str | None, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"content": content, **more}


def calling(*calls: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: {"content": None, "tool_calls": list(calls)}


DEEP = '{"command": ' * 70 + "1" + "}" * 70
FILTER = {"message": "The prompt triggered the content management policy", "code": "content_filter"}


async def filtered(asking: Asking, sent: Sent) -> web.StreamResponse:
    sent.refuses, sent.tokens = True, -(-len(asking.raw) // 4)
    return web.json_response({"error": {**FILTER, "status": 400}}, status=400)


async def too_long(asking: Asking, _sent: Sent) -> web.StreamResponse:
    said = asking.rng.choice(
        [
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "the request exceeds the available context size (4096 tokens)",
            "The input token count (40000) exceeds the maximum number of tokens allowed (32768)",
            "Input is too long for requested model.",
        ]
    )
    return web.json_response({"error": {"message": said}}, status=400)


WAYS: dict[str, tuple[Place, Any]] = {
    # Nothing is answered, and the same is asked again.
    "429": ("again", status(429, {"message": "slow down"})),
    "429, so many seconds": ("again", status(429, Retry_After="0.05")),
    "429, until a date": ("again", status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")),
    "429, until garbage": ("again", status(429, Retry_After="a while")),
    "429, less than nothing": ("again", status(429, Retry_After="-5")),
    "408": ("again", status(408)),
    "409": ("again", status(409)),
    "425": ("again", status(425)),
    "500": ("again", status(500, {"message": "oops"})),
    "502 with a page": ("again", status(502, "<html>bad gateway</html>")),
    "503": ("again", status(503)),
    "504": ("again", status(504)),
    "529": ("again", status(529, {"type": "overloaded_error"})),
    "hang before the first byte": ("again", broken(then="hang")),
    "hang in the middle": ("again", broken(b'{"choices": [', then="hang")),
    "reset before": ("again", broken(then="abort")),
    "reset in the middle": ("again", broken(b'{"choices": [', then="abort")),
    "closed in the middle": ("again", broken(b'{"choices": [', then="close")),
    "truncated JSON": ("again", body(b'{"choices": [{"index": 0, "mess')),
    "a page in a 200": ("again", body(b"<html>log in</html>", "text/html")),
    "empty body": ("again", body(b"")),
    "empty choices": ("again", body(b'{"choices": []}')),
    "an error in a 200": ("again", body(b'{"error": {"message": "upstream", "code": 502}}')),
    "an error in a choice": ("again", body(b'{"choices": [{"error": {"message": "x"}, "message": {}}]}')),
    "no message": ("again", body(b'{"choices": [{"index": 0}]}')),
    "reset in the stream": ("again", broken(HALF, then="abort", kind=EVENTS)),
    "stream that stops": ("again", broken(HALF, then="end", kind=EVENTS)),
    "silence in the stream": ("again", broken(HALF, then="hang", kind=EVENTS)),
    "error in the stream": (
        "again",
        broken(HALF, event({"error": {"message": "overloaded", "code": 529}}), then="end", kind=EVENTS),
    ),
    "garbage in the stream": ("again", broken(HALF, b"data: {]\n\n", then="end", kind=EVENTS)),
    # Answered to the subject as a tool's error.
    "unknown tool": ("answer", answer(calling(call("shel", COPY)), acts=True)),
    "arguments cut": ("answer", answer(calling(call("shell", '{"command": "cp')), acts=True)),
    "arguments no object": ("answer", answer(calling(call("shell", '["cp"]')), acts=True)),
    "arguments that do not fit": ("answer", answer(calling(call("shell", '{"cmd": 5}')), acts=True)),
    "arguments too deep": ("answer", answer(calling(call("shell", DEEP)), acts=True)),
    "call of no tool": ("answer", answer(calling(call(None, COPY)), acts=True)),
    "call cut at the length limit": (
        "answer",
        answer(calling(call("shell", '{"comm')), finish="length", acts=True),
    ),
    # Taken as it is.
    "two calls of one id": (
        "answer",
        answer(calling(call("shell", COPY), call("shell", COPY)), acts=True, copies=True),
    ),
    "two choices": ("answer", answer(second=True)),
    "no usage": ("answer", answer(usage=None)),
    "absurd usage": ("answer", answer(usage={"prompt_tokens": -5, "completion_tokens": 10**15})),
    # Counted as the subject's.
    "empty answer": ("answer", answer(saying(None))),
    "words alone": ("answer", answer(saying("Let me think about it."))),
    "refusal": ("answer", answer(saying(None, refusal="I will not."), refuses=True)),
    "refusal in words": ("answer", answer(saying("I'm sorry, but I can't help with that."), refuses=True)),
    "filtered answer": ("answer", answer(saying(""), finish="content_filter", refuses=True)),
    "filtered question": ("answer", filtered),
    "conversation too long": ("full", too_long),
    # Nobody's: void.
    "401": ("void", status(401, {"message": "bad key"})),
    "403": ("void", status(403, "not for you")),
    "404": ("void", status(404, {"message": "no model x"})),
    "402": ("void", status(402)),
    "429, for an hour": ("void", status(429, Retry_After="3600")),
    "429, no quota": ("void", status(429, {"message": "no", "code": "insufficient_quota"})),
    "another model": ("another", answer(model="cheap")),
}

_WELL: tuple[Place, Any] = ("answer", answer())


@dataclass
class Misbehaving:
    """The server, and its account of what it sent to each trial."""

    seed: int
    sent: dict[int, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    url: str = ""
    _draws: dict[int, random.Random] = field(default_factory=dict)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        asked = json.loads(raw)
        trial, at = asked["seed"], len(asked["messages"])
        account = self.sent[trial]
        if account and account[-1].at == at and account[-1].place == "answer":
            account[-1].place = "again"  # it did not get there in time
        rng = self._draws.setdefault(trial, _drawing(f"{self.seed}/{trial}"))
        way = self._way(trial, rng, begun=bool(account))
        place, respond = WAYS.get(way, _WELL)
        copied = any(each.copies for each in account if each.place == "answer")
        sent = Sent(way=way, at=at, place=place)
        account.append(sent)
        asking = Asking(request, raw, rng, streams=bool(asked.get("stream")), finish_now=copied)
        response: web.StreamResponse = await respond(asking, sent)
        return response

    def _way(self, trial: int, rng: random.Random, *, begun: bool) -> str:
        """Draw how to misbehave: every trial has a way of its own, and meets others as its temper is."""
        own = list(WAYS)[trial % len(WAYS)]
        if trial % 4 == 0 and rng.random() < 0.85:  # one that gets stuck in its way
            return own
        if not begun and rng.random() < 0.5:
            return own
        temper = _drawing(f"{self.seed}/{trial}/temper").uniform(0.1, 0.6)
        return rng.choice(list(WAYS)) if rng.random() < temper else ""

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "x-large"}]})

    @classmethod
    @asynccontextmanager
    async def serving(cls, *, seed: int) -> AsyncIterator[Misbehaving]:
        """Serve on a free port until the block ends."""
        server = cls(seed=seed)
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server._post)
        app.router.add_get("/v1/models", server._models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            yield server
        finally:
            await runner.cleanup()


def _drawing(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a lot, not a secret


# ------------------------------------------------------------------------------------ what is due


@dataclass(frozen=True)
class Due:
    """What a trial has to come to."""

    outcome: str
    limit: str | None
    calls: int
    """Begun; however often each was asked again."""
    answers: int
    tokens: int


@dataclass
class _Course:
    """How far a trial has come."""

    calls: int = 0
    answers: int = 0
    tokens: int = 0
    again: int = 0
    """In a row."""
    idle: int = 0
    acted: bool = False
    copied: bool = False

    def take(self, sent: Sent) -> None:
        """Count what was sent."""
        self.calls += self.again == 0
        self.again = self.again + 1 if sent.place == "again" else 0
        if sent.place in {"answer", "another"}:
            self.answers, self.tokens = self.answers + 1, self.tokens + sent.tokens

    def hear(self, sent: Sent) -> None:
        """Count an answer as the agent's turn."""
        self.acted, self.copied = self.acted or sent.acts, self.copied or sent.copies
        self.idle = 0 if sent.acts else self.idle + 1

    def ends(self, outcome: str, limit: str | None = None) -> Due:
        if self.copied and outcome in {"failure", "limit"}:
            outcome = "success"
        return Due(outcome, limit, self.calls, self.answers, self.tokens)


def due(account: Sequence[Sent], *, attempts: int, stalls: int, token_limit: float) -> Due:
    """Say what a trial comes to that was sent this, by the plain loop, with a limit of tokens as money."""
    course = _Course()
    for sent in account:
        course.take(sent)
        if sent.place == "full" and course.answers:
            return course.ends("limit", "context")
        if sent.place in {"void", "another", "full"} or course.again == attempts:
            return course.ends("void")
        if sent.place == "again":
            continue
        if sent.refuses and not course.acted:
            return course.ends("refused")
        course.hear(sent)
        if sent.finishes or course.idle == stalls:
            return course.ends("failure")
        if course.tokens >= token_limit:
            return course.ends("limit", "money")
    return course.ends("unfinished")
