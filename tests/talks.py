"""Conversations with a simulated subject as the bytes that pass, with canned results of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from scaffold.models.simulated.reading import GARBLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaffold.models.simulated import SimulatedTransport

__all__ = ["Talk", "ask", "talk"]

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("shell", "read_file", "finish")]


class Talk:
    """What was sent and answered, in order."""

    def __init__(self) -> None:
        self.passed: list[tuple[bytes, bytes]] = []
        self.said: list[str] = []
        """The first line of each answer."""
        self.finished = ""
        """The closing statement."""


async def ask(transport: SimulatedTransport, request: bytes) -> bytes:
    answer = await transport.post("/chat/completions", request)
    assert answer.status == 200, answer.body
    return bytes(answer.body)


async def talk(
    transport: SimulatedTransport,
    task: str,
    prompts: Sequence[str],
    *,
    seed: int,
    results: Mapping[str, str] | None = None,
    system: str = "You act.",
    most: int = 30,
) -> Talk:
    """Say one prompt after the other, each until an answer calls no tool or a call failed."""
    talk = Talk()
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": system},
        {"role": "user", "content": task},
    ]
    for prompt in prompts:
        if prompt:
            messages.append({"role": "user", "content": prompt})
        for _ in range(most):
            asked = {"messages": messages, "seed": seed, "tools": TOOLS}
            if prompt.startswith(("# Plan", "# Memory")):
                asked["tool_choice"] = "none"
            request = orjson.dumps(asked)
            answer = await ask(transport, request)
            talk.passed.append((request, answer))
            message = orjson.loads(answer)["choices"][0]["message"]
            talk.said.append((message["content"] or message.get("refusal")).partition("\n")[0])
            messages.append(message)
            if not (calls := message.get("tool_calls")):
                break
            arguments = _arguments(calls[0]["function"])
            if calls[0]["function"]["name"] == "finish" and "summary" in arguments:
                talk.finished = arguments["summary"]
                return talk
            failing = "nothing-of-this-name" in str(arguments)
            usual = "No such file or directory\n[exit status 1]" if failing else "[no output]"
            text = (results or {}).get(talk.said[-1], usual)
            messages.append({"role": "tool", "tool_call_id": calls[0]["id"], "content": text})
            if "[exit status" in text and prompt:
                break
    return talk


def _arguments(function: dict[str, str]) -> dict[str, Any]:
    """Read a call's arguments; one that cannot be parsed is handed back as the client does it."""
    try:
        arguments: dict[str, Any] = orjson.loads(function["arguments"])
    except orjson.JSONDecodeError:
        arguments = {GARBLED: function["arguments"]}
        function["arguments"] = orjson.dumps(arguments).decode()
    return arguments
