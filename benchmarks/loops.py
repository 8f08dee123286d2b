"""The two loops that redline is held against: as little as possible, and LangGraph as its guide shows it.

Each is a class with one method, `run`, that plays trials at once and says how many came to their end.
"""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import SecretStr

from benchmarks.mock_server import script_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["INSTRUCTION", "SYSTEM", "Floor", "Loop", "Peer", "Work"]

INSTRUCTION = "Run the shell steps one after the other, then finish."
SYSTEM = "You are an agent with a shell."


class Work(Protocol):
    """What a loop is to do."""

    trials: int
    steps: int
    latency_s: float


class Loop(Protocol):
    """Something that plays trials."""

    async def run(self, work: Work, out: Path) -> int:
        """Play the trials at once, writing what they record below `out`; return how many succeeded."""
        ...


async def _shell(command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()


class Floor:
    """No framework and no sandbox: one aiohttp session, `sh -c` for each command, a plain JSONL log."""

    _TOOLS = (
        {
            "type": "function",
            "function": {
                "name": "bash",
                "description": "Run a shell command.",
                "parameters": {
                    "type": "object",
                    "properties": {"command": {"type": "string"}},
                    "required": ["command"],
                },
            },
        },
    )

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/chat/completions"

    async def run(self, work: Work, out: Path) -> int:
        """Play the trials at once; return how many succeeded."""
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            trials = (self._trial(session, work, out / f"{n}.jsonl") for n in range(work.trials))
            return sum(await asyncio.gather(*trials))

    async def _trial(self, session: aiohttp.ClientSession, work: Work, log: Path) -> bool:
        model = script_name(steps=work.steps, latency_s=work.latency_s)
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": INSTRUCTION},
        ]
        record = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        _write(record, messages)
        try:
            while True:
                body = {"model": model, "messages": messages, "tools": self._TOOLS}
                async with session.post(self._url, json=body, raise_for_status=True) as response:
                    message = (await response.json())["choices"][0]["message"]
                messages.append(message)
                _write(record, [message])
                if not message["tool_calls"]:
                    return bool(message["content"] == "done")
                for call in message["tool_calls"]:
                    output = await _shell(json.loads(call["function"]["arguments"])["command"])
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": output})
                    _write(record, messages[-1:])
        finally:
            os.close(record)


def _write(record: int, messages: Sequence[dict[str, Any]]) -> None:
    for message in messages:
        os.write(record, json.dumps(message).encode() + b"\n")


@tool
async def bash(command: str) -> str:
    """Run a shell command."""
    return await _shell(command)


class Peer:
    """LangGraph's prebuilt ReAct agent over plain ChatOpenAI: no sandbox, no record."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    async def run(self, work: Work, out: Path) -> int:
        """Play the trials at once; return how many succeeded."""
        del out
        chat = ChatOpenAI(
            model=script_name(steps=work.steps, latency_s=work.latency_s),
            base_url=self._base_url,
            api_key=SecretStr("none"),
            max_retries=0,
            timeout=600,
        )
        with warnings.catch_warnings(action="ignore"):  # its place in langchain, which is not needed here
            agent = create_react_agent(chat, [bash], prompt=SYSTEM)

        async def trial() -> bool:
            asked = {"messages": [{"role": "user", "content": INSTRUCTION}]}
            state = await agent.ainvoke(asked, {"recursion_limit": 4 * work.steps + 50})
            return bool(state["messages"][-1].content == "done")

        return sum(await asyncio.gather(*(trial() for _ in range(work.trials))))
