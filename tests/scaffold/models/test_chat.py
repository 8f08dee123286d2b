from __future__ import annotations

import gc
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from chat_server import common_chat, completion, serving
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolMessage,
)
from pydantic import BaseModel, SecretStr

from scaffold.models import ChatSubject, OpenAISubject, PooledChatOpenAI, Price
from scaffold.models.encoding import ConversationWriter
from scaffold.tools import DEFAULT_TOOLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CONVERSATION: list[BaseMessage] = [
    SystemMessage("You act."),
    HumanMessage("Do it."),
    AIMessage("", tool_calls=[{"name": "shell", "args": {"command": "ls"}, "id": "c0"}]),
    ToolMessage("a b", tool_call_id="c0"),
]


def chat(url: str, **settings: Any) -> PooledChatOpenAI:
    return PooledChatOpenAI(model="m", base_url=url, api_key=SecretStr("sk-test"), **settings)


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[PooledChatOpenAI]:
    yield chat(url)


async def test_sends_what_plain_chat_openai_sends() -> None:
    settings: dict[str, Any] = {"temperature": 0.5, "max_completion_tokens": 9}
    async with serving(completion()) as server, common_chat(server.url, **settings) as common:
        tools = [{"type": "function", "function": {"name": "shell", "parameters": {}}}]
        pooled = chat(server.url, **settings)
        for model in (pooled, common):
            await model.bind_tools(tools, tool_choice="shell").ainvoke(CONVERSATION, seed=3)
        first, second = server.requests
        assert first == second
        assert server.headers[0]["Authorization"] == "Bearer sk-test"


async def test_is_a_full_chat_model() -> None:
    class Colour(BaseModel):
        name: str

    async with serving(completion(calls=[("Colour", '{"name": "red"}')])) as server:
        structured = chat(server.url).with_structured_output(Colour, method="function_calling")
        assert await structured.ainvoke("Which?") == Colour(name="red")
        message = await chat(server.url).ainvoke("Which?")
        assert message.response_metadata["finish_reason"] == "tool_calls"
        assert message.usage_metadata is not None
        assert message.usage_metadata["input_tokens"] == 100


@pytest.mark.parametrize("make", [ours, common_chat])
async def test_any_chat_model_can_be_the_subject(make: Any) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
        "prompt_tokens_details": {"cached_tokens": 60},
    }
    answer = completion("", calls=[("shell", '{"command": "ls"}'), ("list_ports", "{}")], usage=usage)
    async with serving(answer) as server, make(server.url) as model_of_ones_own:
        price = Price(prompt_per_million=10, completion_per_million=100)
        subject = ChatSubject(chat=model_of_ones_own, name="mine", price=price)
        async with subject.connect() as model:
            reply = await model.ask(CONVERSATION, tools=DEFAULT_TOOLS, seed=5)
    assert [(call.name, dict(call.arguments)) for call in reply.calls] == [
        ("shell", {"command": "ls"}),
        ("list_ports", {}),
    ]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (100, 10)
    assert reply.usage.cached_tokens == 60
    assert reply.usage.money == pytest.approx(0.002)
    assert not reply.usage.estimated
    assert server.requests[0]["seed"] == 5
    assert {tool["function"]["name"] for tool in server.requests[0]["tools"]} >= {"shell", "read_file"}


INVALID = InvalidToolCall(type="invalid_tool_call", name="x", args="{}", id="c1", error="no")


def writer_and_log() -> tuple[ConversationWriter, list[BaseMessage]]:
    converted: list[BaseMessage] = []

    def convert(message: BaseMessage) -> dict[str, Any]:
        converted.append(message)
        return {"content": message.content}

    return ConversationWriter(convert), converted


def written(writer: ConversationWriter, messages: list[BaseMessage]) -> list[str]:
    with writer.request(b'{"model":"m"}', messages) as body:
        request = json.loads(body)
    assert request["model"] == "m"
    return [message["content"] for message in request["messages"]]


def test_a_growing_conversation_is_written_once() -> None:
    writer, converted = writer_and_log()
    conversation: list[BaseMessage] = []
    for step in range(50):
        conversation += [HumanMessage(str(step)), AIMessage("")]
        assert written(writer, conversation)[-2:] == [str(step), ""]
    assert len(converted) == 101  # one to see how the model is spoken to
    conversation.clear()
    converted.clear()
    gc.collect()
    assert len(writer) == 0


@pytest.mark.parametrize("model", ["m", "o3-mini"])
@pytest.mark.parametrize(
    "message",
    [
        SystemMessage("You act."),
        HumanMessage("Do it."),
        HumanMessage([{"type": "text", "text": "Do it."}]),
        HumanMessage("Do it.", name="ann"),
        AIMessage("I do."),
        AIMessage("", tool_calls=[{"name": "shell", "args": {"command": "echo \u00e4"}, "id": "c0"}]),
        AIMessage("so", invalid_tool_calls=[INVALID]),
        AIMessage("", additional_kwargs={"reasoning_content": "hm"}),
        AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
        ToolMessage("a b", tool_call_id="c0", status="error"),
    ],
)
def test_each_kind_of_message_is_written_as_langchain_openai_writes_it(
    message: BaseMessage, model: str
) -> None:
    pooled = PooledChatOpenAI(model=model, base_url="http://127.0.0.1:1/v1", api_key=SecretStr("x"))
    with pooled._writer.request(b'{"model":"m"}', [message]) as body:
        assert json.loads(body)["messages"] == [pooled._convert(message)]


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=12))
def test_whatever_the_order_of_conversations_each_is_written_as_it_is(choices: list[list[int]]) -> None:
    writer, _ = writer_and_log()
    pool: list[BaseMessage] = [HumanMessage(str(number)) for number in range(7)]
    for choice in choices:
        assert written(writer, [pool[number] for number in choice]) == [str(number) for number in choice]


def test_two_requests_at_once_do_not_share_their_bytes() -> None:
    writer, _ = writer_and_log()
    conversation: list[BaseMessage] = [HumanMessage("a")]
    written(writer, conversation)
    conversation.append(HumanMessage("b"))
    with writer.request(b'{"model":"m"}', conversation) as body:
        before = bytes(body)
        assert written(writer, [*conversation, HumanMessage("c")]) == ["a", "b", "c"]
        assert body == before
    assert written(writer, conversation) == ["a", "b"]


async def test_a_large_conversation_is_sent_without_a_warning() -> None:
    async with serving(completion()) as server, chat(server.url).connected() as connected:
        completed = await connected.complete([HumanMessage("x" * 3_000_000)], connected.settings())
        assert completed.sent_bytes > 3_000_000
        assert len(server.bodies[0]) == completed.sent_bytes


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('{"command": "l', "not valid JSON"),
        ("5", "not a JSON object"),
        ('["ls"]', "not a JSON object"),
        ("ls", "not valid JSON"),
        ('{"a": ' * 65 + "1" + "}" * 65, "nested more than 64 levels deep"),
        ('{"a": ' * 300 + "1" + "}" * 300, "nested more than 64 levels deep"),
        ('{"a": ' * 9999 + "1" + "}" * 9999, "not valid JSON (it is nested too deeply)"),
    ],
)
async def test_malformed_arguments_are_the_subjects_problem(arguments: str, problem: str) -> None:
    answer = completion(calls=[("shell", arguments), ("list_ports", "")])
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        reply = await model.ask(CONVERSATION, tools=DEFAULT_TOOLS)
        sound, malformed = reply.calls
        assert (sound.name, sound.problem) == ("list_ports", None)
        assert malformed.name == "shell"
        assert problem in (malformed.problem or "")
        # A server that parses arguments must be able to read them when they come back.
        results = [ToolMessage("?", tool_call_id=call.id) for call in reply.calls]
        await model.ask([*CONVERSATION, reply.message, *results], tools=DEFAULT_TOOLS)
        for call in server.requests[1]["messages"][4]["tool_calls"]:
            assert isinstance(json.loads(call["function"]["arguments"]), dict)


async def test_arguments_may_be_nested_as_deeply_as_anybody_needs() -> None:
    answer = completion(calls=[("shell", '{"a": ' * 64 + "1" + "}" * 64)])
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        (call,) = (await model.ask(CONVERSATION, tools=DEFAULT_TOOLS)).calls
    assert call.problem is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}], "hello"),
        ([{"type": "text"}, {"type": "image_url", "image_url": {"url": "x"}}], ""),
        ([], ""),
    ],
)
async def test_content_in_parts_is_read_and_sent_back_as_text(content: Any, text: str) -> None:
    async with (
        serving(completion(content)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        reply = await model.ask(CONVERSATION, tools=())
        await model.ask([*CONVERSATION, reply.message], tools=())
    assert reply.text == text
    assert server.requests[1]["messages"][-1]["content"] == text


async def test_odd_calls_are_given_what_they_lack() -> None:
    answer = completion()
    answer["choices"][0]["message"]["tool_calls"] = [
        {"id": None, "function": {"name": "shell", "arguments": {"command": "ls"}}},
        {"id": "b", "function": {"name": None, "arguments": "{}"}},
        {"id": "c", "function": {"name": "shell", "arguments": '{"command": "\\ud800"}'}},
    ]
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        first, last, nameless = (await model.ask(CONVERSATION, tools=DEFAULT_TOOLS)).calls
    assert first.id
    assert first.arguments == {"command": "ls"}
    assert last.arguments == {"command": "?"}
    assert nameless.problem == "the call names no tool"


async def test_a_cut_off_call_says_so() -> None:
    answer = completion(calls=[("shell", '{"comm')], finish="length")
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        (call,) = (await model.ask(CONVERSATION, tools=DEFAULT_TOOLS)).calls
    assert "cut off at its length limit" in (call.problem or "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (completion(None, refusal="I will not."), "I will not."),
        (completion("", finish="content_filter"), ""),
    ],
)
async def test_a_refusal_is_marked(answer: dict[str, Any], text: str) -> None:
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        reply = await model.ask(CONVERSATION, tools=())
    assert reply.refused
    assert reply.text == text


async def test_reasoning_is_kept_and_not_sent_back() -> None:
    answer = completion("done", reasoning_content="thought")
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        reply = await model.ask(CONVERSATION, tools=())
        await model.ask([*CONVERSATION, reply.message], tools=())
    assert reply.message.additional_kwargs["reasoning_content"] == "thought"
    assert b"thought" not in server.bodies[1]


@pytest.mark.parametrize("usage", [None, {}, "much", {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_missing_usage_is_estimated_and_says_so(usage: Any) -> None:
    answer = completion("four" * 10, usage=usage)
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        reply = await model.ask(CONVERSATION, tools=())
    assert reply.usage.estimated
    assert reply.usage.completion_tokens == 10
    assert reply.usage.prompt_tokens == -(-len(server.bodies[0]) // 4)


async def test_an_empty_answer_is_an_answer() -> None:
    async with (
        serving(completion(None)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        reply = await model.ask(CONVERSATION, tools=())
    assert (reply.text, reply.calls) == ("", ())
