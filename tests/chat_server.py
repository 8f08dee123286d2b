"""A real OpenAI-compatible HTTP server on 127.0.0.1 that answers what a test lays out for it."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

__all__ = ["ChatServer", "common_chat", "completion", "hang_up", "serving", "serving_aside"]


def completion(content: str | None = "fine", **more: Any) -> dict[str, Any]:
    """A chat completion; `calls` are (name, arguments) pairs, `usage` and `finish` override the usual."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    calls = more.pop("calls", ())
    if calls:
        message["tool_calls"] = [
            {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(calls)
        ]
    usage = more.pop("usage", {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
    finish = more.pop("finish", "tool_calls" if calls else "stop")
    answer = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "choices": [{"index": 0, "message": message | more, "finish_reason": finish}],
    }
    return answer if usage is None else answer | {"usage": usage}


Given = dict[str, Any] | web.Response | bytes


@dataclass
class ChatServer:
    """What it was asked, and what it will answer; the last answer is repeated."""

    url: str = ""
    answers: list[Given | Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(
        default_factory=list
    )
    requests: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request was read, on the monotonic clock."""
    models: list[str] | None = None
    site: web.TCPSite | None = None

    async def post(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.times.append(time.monotonic())
        self.bodies.append(body)
        self.requests.append(json.loads(body))
        self.headers.append(dict(request.headers))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(given):
            return await given(request)
        if isinstance(given, dict):
            return web.json_response({"model": self.requests[-1].get("model"), **given})
        if isinstance(given, bytes):
            return web.Response(body=given, content_type="application/json")
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    async def list(self, _: web.Request) -> web.Response:
        if self.models is None:
            return web.Response(status=404)
        return web.json_response({"data": [{"id": name} for name in self.models]})


SERVER = web.AppKey("server", ChatServer)


def hang_up(after: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An answer after which nobody listens any more."""

    async def answer(request: web.Request) -> web.StreamResponse:
        site = request.app[SERVER].site
        assert site is not None
        await site.stop()
        return web.json_response(after, headers={"Connection": "close"})

    return answer


@asynccontextmanager
async def common_chat(url: str, **settings: Any) -> AsyncIterator[ChatOpenAI]:
    """ChatOpenAI as anybody would use it, but for its connections, which by itself it never closes."""
    async with httpx.AsyncClient() as connections:
        yield ChatOpenAI(
            model="m",
            base_url=url,
            api_key=SecretStr("sk-test"),
            max_retries=0,
            http_async_client=connections,
            **settings,
        )


@contextmanager
def serving_aside(*answers: Any) -> Iterator[ChatServer]:
    """Serve from a thread of its own, for clients that block the test's."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(*answers)) as server,
    ):
        yield server


@asynccontextmanager
async def serving(*answers: Any) -> AsyncIterator[ChatServer]:
    """Serve on a free port until the block ends."""
    server = ChatServer(answers=list(answers))
    app = web.Application(client_max_size=1 << 26)
    app[SERVER] = server
    app.router.add_post("/v1/chat/completions", server.post)
    app.router.add_get("/v1/models", server.list)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.site = site
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{port}/v1"
        yield server
    finally:
        await runner.cleanup()
