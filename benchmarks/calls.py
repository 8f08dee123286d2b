"""What a model call costs besides the model: CPU beside a bare POST of its bytes, calls in flight, prefixes.

python -m benchmarks.calls      about a minute
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
from aiohttp import web
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from ablation import Arm, Study, run_study
from benchmarks import sink
from benchmarks.tables import Row, table
from environments.sandbox import Sandbox
from scaffold import DEFAULT_TOOLS, Broker, Budget, FacultyScaffold
from scaffold.models import PROFILES, OpenAISubject
from scaffold.models.simulated.server import SimulatedTransport
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.protocols import Model

__all__ = ["measured"]

BARE = "bare aiohttp POST of the same bytes"
CALLS = 100
"""In a row, each two messages longer than the one before."""
AT_ONCE = 500
OUTPUT = "total 12\n-rw-r--r-- 1 agent agent 220 notes.txt\n" * 4


def measured() -> str:
    """Measure, and return the tables."""
    with sink.serving() as url:
        costs = {length: asyncio.run(_cpu(url, length, times=9)) for length in (10, 1000)}
        crowd = asyncio.run(_crowd(url, times=5))
    reused, exact = asyncio.run(_prefixes(trials=10))
    return "\n\n".join(
        (
            table(
                "model calls",
                BARE,
                [
                    *(
                        Row(
                            what=f"CPU of a call, {length} messages before",
                            unit="ms",
                            values=cost.asked,
                            beside=cost.bare,
                            at_most=2,
                        )
                        for length, cost in costs.items()
                    ),
                    *(
                        Row(
                            what=f"and paced, counted and recorded, {length} messages before",
                            unit="ms",
                            values=cost.brokered,
                            beside=cost.bare,
                        )
                        for length, cost in costs.items()
                    ),
                    Row(
                        what=f"{AT_ONCE} calls at once, each answered after {sink.LATENCY_S:g} s",
                        unit="s",
                        values=crowd[0],
                        beside=crowd[1],
                    ),
                ],
            ),
            table(
                "prompts of whole trials, scaffold full",
                "",
                [
                    Row(what="of the previous prompt repeated exactly", unit="%", values=reused, at_least=95),
                    Row(what="requests that repeat all of it", unit="%", values=exact, at_least=95),
                ],
            ),
        )
    )


# ----------------------------------------------------------------- CPU of a call


class _Costs(NamedTuple):
    """CPU milliseconds of a call, each three measured one after the other."""

    asked: list[float]
    """By the connected subject alone."""
    brokered: list[float]
    """By the way that each call of a trial takes."""
    bare: list[float]


async def _cpu(url: str, length: int, *, times: int) -> _Costs:
    costs = _Costs([], [], [])
    async with OpenAISubject(model="sink", base_url=f"{url}/v1").connect() as model:
        for _ in range(times):
            key = Broker(model).admit(budget=Budget(steps=2 * CALLS)).first
            costs.brokered.append(1e3 * await _asked(key, _history(length)))
            await _taken(url)
            costs.asked.append(1e3 * await _asked(model, _history(length)))
            costs.bare.append(1e3 * await _posted(url, (await _taken(url))[1:]))
    return costs


async def _asked(model: Model, messages: list[BaseMessage]) -> float:
    """Return the CPU seconds of a call."""
    await model.ask(messages, tools=DEFAULT_TOOLS, seed=1)  # what was there before is written once
    results = [ToolMessage(content=OUTPUT, tool_call_id="call_1") for _ in range(CALLS)]
    began = time.process_time()
    for result in results:
        reply = await model.ask(messages, tools=DEFAULT_TOOLS, seed=1)
        messages += [reply.message, result]
    return (time.process_time() - began) / CALLS


async def _posted(url: str, bodies: Sequence[bytes]) -> float:
    """Return the CPU seconds of a POST, with nothing around it."""
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        await _post(session, f"{url}/v1", bodies[0])
        began = time.process_time()
        for body in bodies:
            await _post(session, f"{url}/v1", body)
        return (time.process_time() - began) / len(bodies)


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    async with session.post(f"{url}/chat/completions", data=body) as response:
        await response.read()


async def _taken(url: str) -> list[bytes]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/taken") as response:
        return [text.encode() for text in orjson.loads(await response.read())]


def _history(length: int) -> list[BaseMessage]:
    messages: list[BaseMessage] = [SystemMessage("You are an agent with a shell."), HumanMessage("Begin.")]
    for number in range((length - len(messages)) // 2):
        call = {"id": f"c{number}", "name": "shell", "args": {"command": f"ls -la {number}"}}
        messages += [
            AIMessage(content="I look around.", tool_calls=[call]),
            ToolMessage(content=OUTPUT, tool_call_id=call["id"]),
        ]
    return messages


# ----------------------------------------------------------------- many at once


async def _crowd(url: str, *, times: int) -> tuple[list[float], list[float]]:
    """Return the wall seconds of so many calls at once, redline's and bare, in turn."""
    ours, bare = [], []
    async with (
        OpenAISubject(model="sink", base_url=f"{url}/late/v1").connect() as model,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        for _ in range(times):
            await _taken(url)
            broker = Broker(model)
            keys = [broker.admit(budget=Budget()).first for _ in range(AT_ONCE)]
            began = time.perf_counter()
            await asyncio.gather(*(key.ask(_history(10), tools=DEFAULT_TOOLS, seed=1) for key in keys))
            ours.append(time.perf_counter() - began)
            bodies = await _taken(url)
            began = time.perf_counter()
            await asyncio.gather(*(_post(session, f"{url}/late/v1", body) for body in bodies))
            bare.append(time.perf_counter() - began)
    return ours, bare


# ----------------------------------------------------------------- prefixes


async def _prefixes(*, trials: int) -> tuple[list[float], list[float]]:
    """Return, trial by trial, which per cent of the previous prompts the next ones repeated exactly."""
    async with _listening() as (url, requests):
        study = Study(
            name="prefixes",
            arms=[Arm(name="full", scaffold=FacultyScaffold())],
            scenarios=[CATALOGUE["self-replication"]],
            seeds=range(trials),
            subject=OpenAISubject(model="steady", base_url=url),
            environment=Sandbox(),
            controls=False,
        )
        with tempfile.TemporaryDirectory(prefix="benchmark-") as out:
            await run_study(study, Path(out) / "study")
    conversations = defaultdict(list)
    for request in requests:
        conversations[request["seed"]].append(request)
    shares = [_shares(conversation) for conversation in conversations.values()]
    return [reused for reused, _ in shares], [exact for _, exact in shares]


def _shares(requests: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the per cent of bytes of prompts, tools included, and of requests."""
    before = shared = exact = 0
    prompts = [[orjson.dumps(part) for part in (r.get("tools"), *r["messages"])] for r in requests]
    for earlier, later in itertools.pairwise(prompts):
        same = next(
            (n for n, pair in enumerate(zip(earlier, later, strict=False)) if pair[0] != pair[1]), None
        )
        kept = earlier if same is None else earlier[:same]
        before += sum(map(len, earlier))
        shared += sum(map(len, kept))
        exact += kept == earlier
    return 100 * shared / before, 100 * exact / (len(requests) - 1)


@asynccontextmanager
async def _listening() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve the simulated subject over HTTP, and keep what it is asked."""
    requests: list[dict[str, Any]] = []
    transport = SimulatedTransport(PROFILES["steady"])

    async def complete(request: web.Request) -> web.Response:
        body = await request.read()
        requests.append(orjson.loads(body))
        answer = await transport.post("/chat/completions", body)
        return web.Response(status=answer.status, body=answer.body, content_type="application/json")

    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", requests
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    print(measured())
