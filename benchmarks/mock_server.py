"""A chat-completions server that plays a script, so that every agent loop is given identical work.

The model's name is the script: `echo:STEPS:LATENCY` asks for the shell commands `echo step-1` to
`echo step-STEPS`, one an answer, each LATENCY seconds after it was asked, and then ends the task. The
server keeps no state: the step is the number of assistant messages in the request. A request that does
not bring the latest command's output back is refused, so no loop looks fast by failing its commands.

    python -m benchmarks.mock_server      prints its port, serves until it is ended
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import orjson
from aiohttp import web

__all__ = ["script_name"]


def script_name(*, steps: int, latency_s: float) -> str:
    """Return the model name that asks for this much work."""
    return f"echo:{steps}:{latency_s}"


async def _complete(request: web.Request) -> web.Response:
    body = await request.read()
    asked = orjson.loads(body)
    _, steps, latency_s = asked["model"].split(":")
    messages = asked["messages"]
    done = sum(message["role"] == "assistant" for message in messages)
    if done and f"step-{done}\n" not in f"{messages[-1]['content']}\n":
        return web.json_response({"error": {"message": f"where is the output of step {done}?"}}, status=400)
    await asyncio.sleep(float(latency_s))
    offered = {tool["function"]["name"] for tool in asked["tools"]}
    message = _answer(done + 1, steps=int(steps), offered=offered)
    completion = 8 + len(orjson.dumps(message)) // 4
    prompt = len(body) // 4
    return web.Response(
        content_type="application/json",
        body=orjson.dumps(
            {
                "id": f"completion-{done}",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": message,
                        "logprobs": None,
                        "finish_reason": "tool_calls" if message["tool_calls"] else "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": prompt,
                    "completion_tokens": completion,
                    "total_tokens": prompt + completion,
                },
            }
        ),
    )


def _answer(step: int, *, steps: int, offered: set[str]) -> dict[str, Any]:
    """Return the next command; after the last one, the loop's own way to end."""
    if step <= steps:
        shell = "shell" if "shell" in offered else "bash"
        calls = [_call(step, shell, {"command": f"echo step-{step}"})]
    else:
        calls = [_call(step, "finish", {"summary": "done"})] if "finish" in offered else []
    return {"role": "assistant", "content": None if calls else "done", "tool_calls": calls}


def _call(step: int, name: str, arguments: dict[str, str]) -> dict[str, Any]:
    function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
    return {"id": f"call_{step}", "type": "function", "function": function}


def _main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        server = web.Application(client_max_size=64 << 20)
        server.router.add_post("/v1/chat/completions", _complete)
        web.run_app(server, sock=listener, access_log=None, print=None, keepalive_timeout=600)


if __name__ == "__main__":
    _main()
