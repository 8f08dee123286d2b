"""A real server of the chat-completions protocol with a window: what does not fit is refused, as by vLLM."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from anyio.from_thread import start_blocking_portal

from scaffold.models.simulated.server import SimulatedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scaffold.models.simulated import Profile

__all__ = ["WindowedServer", "answering", "serving_window", "serving_window_aside", "simulating", "words"]

Message = dict[str, Any]
Answer = Callable[[dict[str, Any]], Awaitable[Message]]
WORD = re.compile(r"\w{1,5}|[^\w\s]")


def words(request: dict[str, Any]) -> int:
    """Tokens as a chat template and a tokenizer make them: nothing like bytes divided by four."""
    told = 3
    for message in request["messages"]:
        told += 4 + len(WORD.findall(str(message.get("content") or "")))
        for call in message.get("tool_calls") or ():
            told += 5 + len(WORD.findall(call["function"]["name"] + call["function"]["arguments"]))
    return told + len(WORD.findall(json.dumps(request.get("tools") or "", indent=1)))


@dataclass
class WindowedServer:
    """What it was asked, what it refused, and how long it takes requests to be."""

    answer: Answer
    window: int
    owned_by: str = "vllm"
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    tokenized: int = 0
    listed: int = 0
    reports: bool = True

    async def chat(self, http: web.Request) -> web.Response:
        request = json.loads(await http.read())
        tokens, longest = words(request), request.get("max_tokens") or 1
        if tokens + longest > self.window:
            self.refused += 1
            said = f"This model's maximum context length is {self.window} tokens, your request has {tokens}."
            return web.json_response({"error": {"message": said}}, status=400)
        self.requests.append(request)
        message = await self.answer(request)
        usage = {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20}
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        reported = {"usage": usage} if self.reports else {}
        completion = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        return web.json_response(completion | reported)

    async def models(self, _: web.Request) -> web.Response:
        self.listed += 1
        entry = {"id": "m", "object": "model", "owned_by": self.owned_by, "max_model_len": self.window}
        return web.json_response({"object": "list", "data": [entry]})

    async def tokenize(self, http: web.Request) -> web.Response:
        if self.owned_by != "vllm":
            return web.Response(status=404)
        self.tokenized += 1
        return web.json_response(
            {"count": words(json.loads(await http.read())), "max_model_len": self.window}
        )


def simulating(profile: Profile) -> Answer:
    """Answer as a simulated subject does."""
    subject = SimulatedTransport(profile)

    async def answer(request: dict[str, Any]) -> Message:
        said = json.loads((await subject.post("/chat/completions", json.dumps(request).encode())).body)
        message: Message = said["choices"][0]["message"]
        return message

    return answer


def answering(decide: Callable[[dict[str, Any]], Message]) -> Answer:
    """Answer as a function of the request says."""

    async def answer(request: dict[str, Any]) -> Message:
        return decide(request)

    return answer


@asynccontextmanager
async def serving_window(answer: Answer, *, window: int, **more: Any) -> AsyncIterator[WindowedServer]:
    """Serve on a free port until the block ends."""
    server = WindowedServer(answer=answer, window=window, **more)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/tokenize", server.tokenize)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def serving_window_aside(answer: Answer, *, window: int, **more: Any) -> Iterator[WindowedServer]:
    """Serve from a thread of its own, for clients that block the test's."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving_window(answer, window=window, **more)) as server,
    ):
        yield server
