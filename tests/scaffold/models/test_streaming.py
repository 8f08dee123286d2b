"""Answers that come in pieces: put together whole, and told from a server that hangs."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import completion, serving
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from scaffold.broker.dialect import pieces_of
from scaffold.errors import ContextFull, ModelFailed
from scaffold.models import OpenAISubject, Patience
from scaffold.models.streaming import Assembly
from scaffold.tools import DEFAULT_TOOLS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scaffold.types import Reply

pytestmark = pytest.mark.anyio

QUICK = Patience(attempts=2, first_wait_s=0.01, longest_wait_s=0.01)


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def delta(**said: Any) -> bytes:
    finish = said.pop("finish", None)
    return event({"model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]})


def call_piece(index: int | None, text: str, **first: str) -> bytes:
    function = {"arguments": text, **({"name": first["name"]} if "name" in first else {})}
    piece = {"index": index, "id": first.get("id"), "function": function}
    return delta(tool_calls=[{name: value for name, value in piece.items() if value is not None}])


WHOLE = {
    **completion("Grüße, 世界 🙂", calls=[("shell", '{"command": "ls"}'), ("list_ports", "{}")]),
    "model": "m",
}


def assembled(*pieces: bytes) -> dict[str, Any]:
    assembly = Assembly()
    for piece in pieces:
        assembly.feed(piece)
    found: dict[str, Any] = json.loads(assembly.body())
    return found


def with_line_ends(stream: bytes, end: bytes) -> bytes:
    return stream.replace(b"\n", end)


@given(cuts=st.lists(st.integers(0, 3000), max_size=30), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_wherever_it_is_cut_and_however_lines_end_it_is_the_same_answer(cuts: list[int], end: bytes) -> None:
    stream = with_line_ends(b": hello\n\n" + b"".join(pieces_of(WHOLE, usage_apart=True)), end)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = assembled(*(stream[a:b] for a, b in itertools.pairwise(places)))
    message, expected = found["choices"][0]["message"], WHOLE["choices"][0]["message"]
    assert message == expected
    assert (found["usage"], found["choices"][0]["finish_reason"]) == (WHOLE["usage"], "tool_calls")


@given(st.binary(max_size=300))
def test_whatever_comes_something_is_made_of_it(noise: bytes) -> None:
    assembly = Assembly()
    assembly.feed(noise)
    assert isinstance(assembly.body(), bytes)


def test_calls_are_told_apart_by_index_by_id_or_by_order() -> None:
    interleaved = assembled(
        call_piece(0, '{"a"', id="x", name="one"),
        call_piece(1, '{"b"', id="y", name="two"),
        call_piece(0, ": 1}"),
        call_piece(1, ": 2}"),
    )
    same_index = assembled(
        call_piece(0, '{"a": 1}', id="x", name="one"), call_piece(0, '{"b": 2}', id="y", name="two")
    )
    no_index = assembled(
        call_piece(None, '{"a"', id="x", name="one"),
        call_piece(None, ": 1}"),
        call_piece(None, '{"b": 2}', id="y", name="two"),
    )
    for found in (interleaved, same_index, no_index):
        calls = found["choices"][0]["message"]["tool_calls"]
        assert [(call["id"], call["function"]["name"]) for call in calls] == [("x", "one"), ("y", "two")]
        assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"a": 1}, {"b": 2}]


def test_data_of_several_lines_is_one_event() -> None:
    found = assembled(
        b'data: {"choices": [{"delta":\ndata: {"content": "hm"},\ndata:  "finish_reason": "stop"}]}\n\n'
    )
    assert found["choices"][0]["message"]["content"] == "hm"


def streaming(*pieces: bytes, then: str = "end") -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then == "hang":
            await asyncio.sleep(30)
        if then == "reset":
            await asyncio.sleep(0.05)
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write_eof()
        return response

    return answer


async def asked(*answers: Any, **settings: Any) -> tuple[Reply, list[dict[str, Any]]]:
    async with serving(*answers) as server:
        given = {"patience": QUICK, "stream": True, **settings}
        async with OpenAISubject(model="m", base_url=server.url, **given).connect() as model:
            reply = await model.ask([HumanMessage("?")], tools=DEFAULT_TOOLS)
    return reply, server.requests


async def test_a_streamed_answer_is_like_any_other() -> None:
    stream = b"".join(pieces_of({**WHOLE, "model": "m"}, usage_apart=True))
    reply, (request,) = await asked(streaming(stream[:80], stream[80:]))
    assert (request["stream"], request["stream_options"]) == (True, {"include_usage": True})
    assert reply.text == "Grüße, 世界 🙂"
    assert [(call.name, dict(call.arguments)) for call in reply.calls] == [
        ("shell", {"command": "ls"}),
        ("list_ports", {}),
    ]
    assert (reply.usage.prompt_tokens, reply.usage.estimated) == (100, False)
    assert reply.first_s is not None
    assert 0 < reply.first_s <= reply.seconds


async def test_a_server_that_does_not_stream_is_understood() -> None:
    reply, _ = await asked(completion("plain"))
    assert (reply.text, reply.first_s) == ("plain", None)


async def test_reasoning_comes_in_pieces_too() -> None:
    reply, _ = await asked(
        streaming(
            delta(reasoning_content="I th"),
            delta(reasoning_content="ink"),
            delta(content="so"),
            delta(finish="stop"),
        )
    )
    assert (reply.reasoning, reply.text, reply.finish) == ("I think", "so", "stop")
    assert reply.usage.estimated


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_what_is_missing_after_the_last_word_is_not_missed(then: str) -> None:
    reply, requests = await asked(
        streaming(delta(content="all"), delta(finish="stop"), b'data: {"usa', then=then)
    )
    assert (reply.text, reply.attempts, len(requests)) == ("all", 1, 1)


BROKEN: dict[str, tuple[Any, str]] = {
    "reset": (streaming(delta(content="ha"), then="reset"), "broke off its answer"),
    "cut": (streaming(delta(content="ha")), "broke off its answer"),
    "nothing": (streaming(), "broke off its answer"),
    "done at once": (streaming(b"data: [DONE]\n\n"), "with an empty body"),
    "no JSON": (streaming(delta(content="ha"), b"data: <html>\n\n"), "not JSON: b'<html>'"),
    "an error": (
        streaming(delta(content="ha"), event({"error": {"message": "overloaded", "code": 529}})),
        "answered 200 with an error 529: overloaded",
    ),
    "silence": (streaming(delta(content="ha"), then="hang"), "fell silent for 0.2 s in the middle"),
    "silence from the start": (streaming(then="hang"), "fell silent for 0.2 s"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_stream_that_breaks_is_asked_for_again(fault: str) -> None:
    answer, said = BROKEN[fault]
    good = streaming(delta(content="fine"), delta(finish="stop"))
    reply, requests = await asked(answer, good, idle_timeout_s=0.2)
    assert (reply.text, reply.attempts, len(requests)) == ("fine", 2, 2)
    with pytest.raises(ModelFailed, match=said):
        await asked(answer, idle_timeout_s=0.2)


async def test_a_long_answer_is_no_hanging_server() -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(8):
            await response.write(delta(content="word "))
            await asyncio.sleep(0.1)
        await response.write(delta(finish="stop"))
        return response

    reply, _ = await asked(slowly, idle_timeout_s=0.6)
    assert reply.text == "word " * 8


async def test_a_conversation_too_long_may_be_told_in_the_stream() -> None:
    said = {"error": {"message": "This model's maximum context length is 10 tokens", "code": 400}}
    with pytest.raises(ContextFull):
        await asked(streaming(event(said)))
