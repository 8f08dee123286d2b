"""Tokens counted before a request is sent, and who says how many a subject takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from windowed_server import answering, serving_window, words

from scaffold.counting import Counter, PlainGauge
from scaffold.models import OpenAISubject, SimulatedSubject, TextToolsSubject, parse_subject, window_of
from scaffold.models.langchain import ChatSubject
from scaffold.models.simulated import PROFILES
from scaffold.models.window import known_window, stated_window
from scaffold.tools import DEFAULT_TOOLS
from scaffold.types import Count, Usage, Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langchain_core.messages import BaseMessage

pytestmark = pytest.mark.anyio

FINE = answering(lambda _: {"role": "assistant", "content": "Fine, I go on with that."})


def grown(steps: int) -> list[BaseMessage]:
    """A conversation in which texts of several kinds follow each other."""
    messages: list[BaseMessage] = [SystemMessage("You act. " * 50), HumanMessage("Do something useful.")]
    kinds = (
        "drwxr-xr-x 2 agent agent 4096 Jan  1 00:00 src\n",
        "The quick brown fox. ",
        '{"a": [1, 2, 3]}\n',
    )
    for number in range(steps):
        call = {"id": f"c{number}", "name": "shell", "args": {"command": f"ls -la /srv/{number}"}}
        messages.append(AIMessage(f"Step {number}.", tool_calls=[call]))
        messages.append(ToolMessage(kinds[number % 3] * (1 + number % 7), tool_call_id=f"c{number}"))
    return messages


async def counts(subject: Any, messages: list[BaseMessage], **how: Any) -> tuple[list[Count], list[int]]:
    """What was counted before each answer, and what the server then said it was."""
    told, was = [], []
    async with subject.connect() as model:
        counter = Counter(model.gauge)
        for end in range(2, len(messages) + 1, 2):
            told.append(await counter.count(messages[:end], tools=DEFAULT_TOOLS, **how))
            reply = await model.ask(messages[:end], tools=DEFAULT_TOOLS)
            counter.answered(messages[:end], reply.usage, tools=DEFAULT_TOOLS)
            was.append(reply.usage.prompt_tokens)
    return told, was


async def test_what_was_sent_is_known_and_what_was_added_is_estimated_at_the_rate_seen() -> None:
    async with serving_window(FINE, window=10**6) as server:
        told, was = await counts(OpenAISubject(model="m", base_url=server.url), grown(60))
    assert (told[0].counted_by, told[0].estimated) == ("bytes", told[0].tokens)
    assert {count.counted_by for count in told[1:]} == {"usage"}
    errors = [abs(count.tokens - tokens) / tokens for count, tokens in zip(told, was, strict=True)]
    assert max(errors[1:]) < 0.05
    assert sum(errors[1:]) / len(errors[1:]) < 0.01
    assert server.tokenized == 0


async def test_the_servers_own_tokenizer_is_asked_where_it_decides() -> None:
    async with serving_window(FINE, window=10**6) as server:
        told, was = await counts(OpenAISubject(model="m", base_url=server.url), grown(60), limit=4000)
    counted = [(c.tokens, t) for c, t in zip(told, was, strict=True) if c.counted_by == "server"]
    assert len(counted) > 10
    assert all(tokens == actual for tokens, actual in counted)
    assert all(c.tokens + c.estimated // 4 < 4000 for c in told if c.counted_by != "server")
    assert told[1].counted_by == "usage"


@pytest.mark.parametrize("reports", [True, False])
async def test_a_tokenizer_of_the_users_counts_what_no_server_does(reports: bool) -> None:  # noqa: FBT001
    spoken: list[int] = []

    def tokenizer(text: str) -> int:
        spoken.append(len(text))
        return words({"messages": [{"content": text}]}) - 7

    async with serving_window(FINE, window=10**6, owned_by="x", reports=reports) as server:
        subject = OpenAISubject(model="m", base_url=server.url, tokenizer=tokenizer)
        told, _ = await counts(subject, grown(60))
    assert {count.counted_by for count in told[1:]} == ({"usage"} if reports else {"tokenizer"})
    assert told[0].counted_by == "tokenizer"
    assert len(spoken) == 2 + 2 * 60  # each message once
    own = sum(words({"messages": [{"content": str(m.content)}]}) for m in grown(60))
    assert 0.7 < told[-1].tokens / own < 2


async def test_where_nobody_counts_four_bytes_are_a_token() -> None:
    async with serving_window(FINE, window=10**6, owned_by="x", reports=False) as server:
        told, _ = await counts(OpenAISubject(model="m", base_url=server.url), grown(20))
    assert {count.counted_by for count in told} == {"bytes"}
    body = len(json.dumps(server.requests[-1], separators=(",", ":"), ensure_ascii=False).encode())
    assert told[-1].tokens == -(-body // 4)


async def test_a_simulated_subject_is_counted_as_it_reports() -> None:
    told, was = await counts(SimulatedSubject(profile=PROFILES["capable"]), grown(30))
    assert all(abs(count.tokens - tokens) <= 2 for count, tokens in zip(told, was, strict=True))


async def test_calls_in_text_are_counted_as_they_are_sent() -> None:
    async with serving_window(FINE, window=10**6) as server:
        subject = TextToolsSubject(subject=OpenAISubject(model="m", base_url=server.url))
        told, was = await counts(subject, grown(30), limit=2000)
    errors = [
        abs(c.tokens - t) / t for c, t in zip(told[1:], was[1:], strict=True) if c.counted_by == "usage"
    ]
    assert max(errors) < 0.05
    assert all(c.tokens == t for c, t in zip(told, was, strict=True) if c.counted_by == "server")


def test_a_subject_without_a_gauge_is_counted_too() -> None:
    async def count() -> int:
        counter = Counter(PlainGauge())
        counter.answered(grown(3), Usage(calls=1, prompt_tokens=1000), tools=())
        found = await counter.count(grown(3), tools=())
        assert found.counted_by == "usage"
        return found.tokens

    import asyncio  # noqa: PLC0415

    assert asyncio.run(count()) == 1000


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"context_length": 131072, "top_provider": {}}, 131072),
        ({"context_window": 8192}, 8192),
        ({"meta": {"n_ctx_train": 32768}}, 32768),
        ({"max_model_len": "many"}, None),
        ({"max_model_len": True, "context_length": -1}, None),
        ({}, None),
    ],
)
def test_servers_state_the_window_each_in_its_way(entry: dict[str, Any], tokens: int | None) -> None:
    assert stated_window(entry) == tokens


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("gpt-4o-mini", 128_000),
        ("openai/gpt-4.1", 1_047_576),
        ("gpt-4", 8_192),
        ("anthropic/claude-sonnet-4", 200_000),
        ("o3-mini", 200_000),
        ("meta-llama/Llama-3.1-70B-Instruct", None),
        ("my-gpt-4o", None),
    ],
)
def test_hosted_models_are_known_by_name(name: str, tokens: int | None) -> None:
    assert known_window(name) == tokens


async def window(subject: Any) -> Window:
    async with subject.connect() as model:
        return await window_of(model)


async def test_the_setting_goes_before_the_server_and_the_server_before_the_table() -> None:
    async with serving_window(FINE, window=5000) as server:
        set_by_user = parse_subject("openai:m", base_url=server.url, window=3000)
        assert await window(set_by_user) == Window(tokens=3000, said_by="the setting")
        assert await window(OpenAISubject(model="m", base_url=server.url)) == Window(
            tokens=5000, said_by="the server"
        )
    nobody = "http://127.0.0.1:9/v1"
    known = await window(OpenAISubject(model="gpt-4o", base_url=nobody))
    assert (known.tokens, known.said_by) == (128_000, "a table of known models")
    assert await window(OpenAISubject(model="m", base_url=nobody)) == Window()
    assert (await window(parse_subject("simulated:steady"))).tokens is None
    assert (await window(parse_subject("simulated:steady", window=900, tools="text"))).tokens == 900


async def test_a_chat_model_of_langchains_says_it_in_its_profile_or_not() -> None:
    chat = FakeListChatModel(responses=["x"])
    assert await window(ChatSubject(chat=chat, name="x")) == Window()
    assert (await window(ChatSubject(chat=chat, name="x", window=77))).tokens == 77
    told = FakeListChatModel(responses=["x"], profile={"max_input_tokens": 1234})
    assert (await window(ChatSubject(chat=told, name="x"))).tokens == 1234


def test_what_is_left_for_the_answer() -> None:
    assert Window(tokens=4000).room == 3500
    assert Window(tokens=100_000).room == 100_000 - 1024
    assert Window(tokens=4000, answer=1500).room == 2500
    assert Window().room is None


@pytest.fixture
async def llama() -> AsyncIterator[str]:
    """The part of llama.cpp's server that is asked here."""

    async def models(_: web.Request) -> web.Response:
        entry = {"id": "m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131072}}
        return web.json_response({"object": "list", "data": [entry]})

    async def props(_: web.Request) -> web.Response:
        return web.json_response({"default_generation_settings": {"n_ctx": 2048}})

    async def template(request: web.Request) -> web.Response:
        asked = await request.json()
        return web.json_response({"prompt": " ".join(str(m["content"]) for m in asked["messages"])})

    async def tokenize(request: web.Request) -> web.Response:
        return web.json_response({"tokens": (await request.json())["content"].split()})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_get("/props", props)
    app.router.add_post("/apply-template", template)
    app.router.add_post("/tokenize", tokenize)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


async def test_llama_cpp_says_what_it_was_started_with_and_counts(llama: str) -> None:
    async with OpenAISubject(model="m", base_url=llama).connect() as model:
        assert await window_of(model) == Window(tokens=2048, said_by="the server")
        counter = Counter(model.gauge)  # type: ignore[attr-defined]
        found = await counter.count([HumanMessage("one two three")], tools=DEFAULT_TOOLS, limit=10)
    assert found == Count(tokens=3, counted_by="server")
