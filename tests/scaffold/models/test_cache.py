from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from chat_server import completion, serving
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from scaffold import DEFAULT_TOOLS, FunctionTool, ModelFailed, ToolOutcome
from scaffold.errors import CacheUnusable
from scaffold.models import (
    Cached,
    Calling,
    ChatSubject,
    OpenAISubject,
    Patience,
    Price,
    ReplyCache,
    Sampling,
    TextToolsSubject,
)
from scaffold.models.cache import digests
from scaffold.models.cache.subject import CachedModel, CachedRelayingModel
from scaffold.models.scripted import Scripted

if TYPE_CHECKING:
    from chat_server import ChatServer
    from langchain_core.messages import BaseMessage

    from environments import Environment
    from scaffold import Reply
    from scaffold.protocols import Subject

pytestmark = pytest.mark.anyio

TALK = [SystemMessage("You work alone."), HumanMessage("Copy the word.")]


def of(server: ChatServer, **settings: Any) -> OpenAISubject:
    return OpenAISubject(model="m", base_url=server.url, patience=Patience(attempts=1), **settings)


async def ask(subject: Subject, cache: ReplyCache, messages: Any = TALK, **more: Any) -> Reply:
    async with Cached(subject=subject, cache=cache).connect() as model:
        return await model.ask(messages, **{"tools": DEFAULT_TOOLS, "seed": 7, **more})


@pytest.fixture
def cache(tmp_path: Path) -> ReplyCache:
    return ReplyCache(tmp_path / "replies")


async def test_what_was_answered_before_is_given_again_and_marked(cache: ReplyCache) -> None:
    answer = completion("I copy.", calls=[("shell", '{"command": "cp a b"}')], reasoning_content="hm")
    async with serving(answer) as server:
        priced = of(server, price=Price(prompt_per_million=10.0, completion_per_million=100.0))
        first, again = await ask(priced, cache), await ask(priced, cache)
    assert len(server.requests) == 1
    assert (first.from_cache, again.from_cache) == (False, True)
    assert again.message == first.message
    for told in ("text", "calls", "reasoning", "finish", "served", "refused"):
        assert getattr(again, told) == getattr(first, told)
    assert (again.usage.tokens, again.usage.tokens_from_cache, again.usage.from_cache) == (110, 110, 1)
    assert (again.usage.money, again.usage.money_spared) == (0.0, first.usage.money)
    assert first.usage.money == pytest.approx(0.002)


ASKED_DIFFERENTLY: dict[str, dict[str, Any]] = {
    "temperature": {"sampling": Sampling(temperature=0.1)},
    "longest answer": {"sampling": Sampling(max_tokens=99)},
    "a setting of the server's own": {"sampling": Sampling(more={"top_k": 3})},
    "a setting called like one of ours": {"sampling": Sampling(more={"pace": 3})},
    "calling": {"calling": Calling(choice="required")},
    "header": {"headers": {"X-Route": "b"}},
    "model": {"model": "n"},
    "seed": {"seed": 8},
    "tools": {"tools": DEFAULT_TOOLS[:-1]},
    "tool choice": {"tool_choice": "none"},
    "one byte": {"messages": [TALK[0], HumanMessage("Copy the word!")]},
    "role": {"messages": [TALK[0], SystemMessage("Copy the word.")]},
    "order": {"messages": TALK[::-1]},
    "cut otherwise": {"messages": [SystemMessage("You work alone.Copy"), HumanMessage(" the word.")]},
}


@pytest.mark.parametrize("difference", ASKED_DIFFERENTLY.values(), ids=ASKED_DIFFERENTLY)
async def test_whatever_else_is_asked_is_asked(cache: ReplyCache, difference: dict[str, Any]) -> None:
    own = {
        name: value
        for name, value in difference.items()
        if name in {"seed", "tools", "tool_choice", "messages"}
    }
    async with serving(completion("one"), completion("two")) as server:
        subject = of(server)
        changed = replace(subject, **{name: value for name, value in difference.items() if name not in own})
        assert (await ask(subject, cache)).text == "one"
        assert (await ask(changed, cache, **own)).text == "two"
        assert (await ask(subject, cache)).text == "one"
    assert len(server.requests) == 2


async def test_a_description_of_a_tool_is_part_of_the_question(cache: ReplyCache) -> None:
    class Nothing(BaseModel):
        pass

    async def act(_: Nothing, __: Environment) -> ToolOutcome:
        return ToolOutcome(text="")

    def tool(description: str) -> FunctionTool[Nothing]:
        return FunctionTool(name="t", group="shell", description=description, arguments=Nothing, function=act)

    async with serving(completion("one"), completion("two")) as server:
        assert (await ask(of(server), cache, tools=[tool("Old.")])).text == "one"
        assert (await ask(of(server), cache, tools=[tool("New.")])).text == "two"


async def test_another_address_is_another_subject(cache: ReplyCache) -> None:
    async with serving(completion("here")) as here, serving(completion("there")) as there:
        assert (await ask(of(here), cache)).text == "here"
        assert (await ask(of(there), cache)).text == "there"


async def test_how_patiently_and_at_what_price_is_not_part_of_the_question(cache: ReplyCache) -> None:
    async with serving(completion("one"), completion("two")) as server:
        await ask(of(server), cache)
        other = replace(
            of(server),
            patience=Patience(attempts=9),
            price=Price(prompt_per_million=1.0, completion_per_million=1.0),
            request_timeout_s=9,
        )
        assert (await ask(other, cache)).from_cache


async def test_without_a_seed_every_sample_is_drawn(cache: ReplyCache) -> None:
    async with serving(
        completion("one"), completion("two"), completion("three"), completion("four")
    ) as server:
        assert (await ask(of(server), cache, seed=None)).text == "one"
        assert (await ask(of(server), cache, seed=None)).text == "two"
        unseeded = of(server, sampling=Sampling(seeded=False))
        assert (await ask(unseeded, cache)).text == "three"
        assert (await ask(unseeded, cache)).text == "four"


async def test_a_subject_that_does_not_say_it_takes_seeds_is_always_asked(cache: ReplyCache) -> None:
    subject = Scripted(replies=["one"])
    assert not (await ask(subject, cache)).from_cache
    assert not (await ask(subject, cache)).from_cache


async def test_a_chat_model_that_takes_no_seed_is_always_asked(cache: ReplyCache) -> None:
    chat = GenericFakeChatModel(messages=iter([AIMessage("one"), AIMessage("two")]))
    subject = ChatSubject(chat=chat, name="fake")
    assert [(await ask(subject, cache, tools=())).text for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize(
    "answer",
    [
        completion(None, refusal="I will not."),
        completion("", finish="content_filter"),
        completion("cut o", finish="length"),
        completion("", calls=[("shell", '{"comm')]),
    ],
    ids=["refusal", "filter", "truncated", "malformed call"],
)
async def test_every_answer_is_an_answer(cache: ReplyCache, answer: Any) -> None:
    async with serving(answer, completion("another")) as server:
        first, again = await ask(of(server), cache), await ask(of(server), cache)
    assert again.from_cache
    assert (again.text, again.calls, again.refused, again.finish) == (
        first.text,
        first.calls,
        first.refused,
        first.finish,
    )


async def test_a_failure_is_never_kept(cache: ReplyCache) -> None:
    async with serving(b"{", completion("fine"), completion("never")) as server:
        with pytest.raises(ModelFailed):
            await ask(of(server), cache)
        assert (await ask(of(server), cache)).text == "fine"
        assert (await ask(of(server), cache)).text == "fine"
    assert len(server.requests) == 2


async def test_once_another_model_is_served_the_old_ones_answers_are_none(cache: ReplyCache) -> None:
    old, new = {"model": "m-1"}, {"model": "m-2"}
    async with serving(completion("old") | old, completion("other") | new, completion("new") | new) as server:
        subject = of(server, served=("m-*",))
        await ask(subject, cache)
        async with Cached(subject=subject, cache=cache).connect() as model:
            await model.ask(TALK, tools=(), seed=7)
            assert (await model.ask(TALK, tools=DEFAULT_TOOLS, seed=7)).text == "new"
        assert (await ask(subject, cache)).text == "new"
    assert len(server.requests) == 3


async def test_who_asks_the_same_at_the_same_time_hears_the_same(cache: ReplyCache) -> None:
    async with (
        serving(completion("one"), completion("two")) as server,
        Cached(subject=of(server), cache=cache).connect() as model,
    ):
        asked = (model.ask(list(TALK), tools=(), seed=7) for _ in range(5))
        said = [reply.text for reply in await asyncio.gather(*asked)]
    assert (said, len(server.requests)) == (["one"] * 5, 1)


async def test_of_two_answers_the_one_that_is_kept_counts(cache: ReplyCache) -> None:
    async with serving(completion("one"), completion("two")) as server:
        here, there = Cached(subject=of(server), cache=cache), Cached(subject=of(server), cache=cache)
        async with here.connect() as mine, there.connect() as theirs:
            assert isinstance(mine, CachedModel)
            assert isinstance(theirs, CachedModel)
            replies = await asyncio.gather(*(each.ask(TALK, tools=(), seed=7) for each in (mine, theirs)))
    assert len({reply.text for reply in replies}) == 1
    assert [reply.from_cache for reply in replies] == [False, False], "both were paid for"


async def test_text_tools_are_answered_from_it_too(cache: ReplyCache) -> None:
    spoken = 'I look.\n```tool\n{"name": "shell", "arguments": {"command": "ls"}}\n```'
    async with serving(completion(spoken)) as server:
        subject = TextToolsSubject(subject=of(server))
        first, again = await ask(subject, cache), await ask(subject, cache)
        native = await ask(of(server), cache)
    assert again.from_cache
    assert again.calls == first.calls
    assert [call.name for call in again.calls] == ["shell"]
    assert not native.from_cache


async def test_a_program_inside_is_answered_from_it_too(cache: ReplyCache) -> None:
    request = {"messages": [{"role": "user", "content": "hello"}], "model": "x", "stream": True}
    async with (
        serving(completion("one"), completion("two")) as server,
        Cached(subject=of(server), cache=cache).connect() as model,
    ):
        assert isinstance(model, CachedRelayingModel)
        first = await model.relay(request, seed=7)
        again = await model.relay({**request, "stream": False}, seed=7)
        known = model.recall_relayed(request, seed=7)
        assert known is not None
        warmer = await model.relay({**request, "temperature": 1.0}, seed=7)
    assert (again.answer, again.from_cache) == (first.answer, True)
    assert (warmer.text, len(server.requests)) == ("two", 2)


def test_a_long_conversation_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    plain = digests._said

    def counted(message: BaseMessage) -> dict[str, Any]:
        read.append(message)
        return plain(message)

    monkeypatch.setattr(digests, "_said", counted)
    conversations = digests.Conversations()
    talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
    seen = set()
    for step in range(500):
        seen.add(conversations.digest(talk))
        talk += [AIMessage(f"{step}"), ToolMessage("done", tool_call_id=f"c{step}")]
    assert len(read) == len(talk) - 2
    assert len(seen) == 500
    assert len(conversations) == 1
    assert digests.Conversations().digest(talk) == conversations.digest(talk)


# ---------------------------------------------------------------------------------------- the file

WRITERS = """
import os, sys
from scaffold.models import ReplyCache

def write(who, times):
    with ReplyCache(sys.argv[1]).open() as shelf:
        for number in range(times):
            key = f"{who} {number}".encode()
            assert shelf.put(key, key * 500) == key * 500

for who in "aba":
    if os.fork() == 0:
        write(who, 100)
        os._exit(0)
assert [os.wait()[1] for _ in "aba"] == [0, 0, 0]
write("k", 10**9)
"""


def test_processes_share_it_and_one_that_is_killed_while_it_writes_leaves_it_sound(cache: ReplyCache) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITERS, str(cache.path)]) as writer, cache.open() as shelf:
        while len(shelf) < 250:
            assert writer.poll() is None
            time.sleep(0.01)
        os.kill(writer.pid, signal.SIGKILL)
    with cache.open() as shelf, structlog.testing.capture_logs() as said:
        keys = [f"{who} {number}" for who in "ab" for number in range(100)]
        keys += [f"k {number}" for number in range(len(shelf) - 200)]
        assert [shelf.get(key.encode()) for key in keys] == [key.encode() * 500 for key in keys]
        assert shelf.put(b"after", b"it") == b"it"
        (verdict,) = shelf._database.execute("PRAGMA integrity_check").fetchone()
    assert (verdict, said) == ("ok", [])


async def test_a_damaged_reply_is_asked_for_again_with_a_word(cache: ReplyCache) -> None:
    async with serving(completion("one"), completion("two")) as server:
        await ask(of(server), cache)
        with sqlite3.connect(Path(cache.path) / "replies.sqlite") as file:
            (entry,) = file.execute("SELECT entry FROM replies").fetchone()
            file.execute("UPDATE replies SET entry = ?", (entry[:-1] + bytes([entry[-1] ^ 1]),))
        file.close()
        with structlog.testing.capture_logs() as said:
            assert (await ask(of(server), cache)).text == "two"
        assert (await ask(of(server), cache)).text == "two"
    assert [line["event"] for line in said] == ["a kept reply is not what was written: the subject is asked"]


def test_a_file_that_is_no_cache_is_set_aside(cache: ReplyCache) -> None:
    folder = Path(cache.path)
    folder.mkdir()
    (folder / "replies.sqlite").write_bytes(b"not a database, and long enough to be looked at" * 100)
    with structlog.testing.capture_logs() as said, cache.open() as shelf:
        assert shelf.put(b"k", b"v") == b"v"
    assert [line["event"] for line in said] == ["the reply cache was no cache: begun anew"]
    assert (folder / "replies.sqlite.broken").read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with (
        pytest.raises(CacheUnusable, match="taken/replies for replies: Not a directory"),
        ReplyCache(tmp_path / "taken" / "replies").open(),
    ):
        pass


def test_the_oldest_make_room(tmp_path: Path) -> None:
    with ReplyCache(tmp_path, most_bytes=10_000).open() as shelf:
        for number in range(100):
            shelf.put(f"{number}".encode(), bytes(1000))
            assert shelf._measured() <= 10_000
        assert shelf.get(b"0") is None
        assert shelf.get(b"99") == bytes(1000)
