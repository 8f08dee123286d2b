"""A chat-completions server that answers every request alike, and gives the bytes it was sent back on demand.

    python -m benchmarks.sink      prints its port, serves until it is ended

Below `/v1` it answers at once, below `/late/v1` after `LATENCY_S`.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LATENCY_S", "serving"]

LATENCY_S = 1.0

_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "shell", "arguments": '{"command": "ls -la"}'},
}
_ANSWER = orjson.dumps(
    {
        "id": "completion",
        "object": "chat.completion",
        "created": 0,
        "model": "sink",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "I look around.", "tool_calls": [_CALL]},
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
)


@contextmanager
def serving() -> Iterator[str]:
    """Serve from a process of its own; yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


class _Sink:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        if request.path.startswith("/late"):
            await asyncio.sleep(LATENCY_S)
        return web.Response(content_type="application/json", body=_ANSWER)

    async def take(self, _: web.Request) -> web.Response:
        """Hand out what was sent since the last time, a JSON list of texts."""
        taken, self.bodies = self.bodies, []
        return web.Response(body=orjson.dumps([body.decode() for body in taken]))


def _main() -> None:
    sink = _Sink()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        server = web.Application(client_max_size=64 << 20)
        for root in ("/v1", "/late/v1"):
            server.router.add_post(f"{root}/chat/completions", sink.complete)
        server.router.add_get("/taken", sink.take)
        web.run_app(server, sock=listener, access_log=None, print=None, keepalive_timeout=600)


if __name__ == "__main__":
    _main()
