from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import common_chat, completion, serving
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from scaffold.broker import Broker, Pace, Pacer
from scaffold.errors import AnotherModel, ContextFull, ModelFailed
from scaffold.models import ChatSubject, OpenAISubject, Patience, Retry
from scaffold.models.patience import retry_after
from scaffold.models.served import same_model
from scaffold.types import Budget

if TYPE_CHECKING:
    from scaffold.protocols import Subject

pytestmark = pytest.mark.anyio

QUICK = Patience(first_wait_s=0.01, longest_wait_s=0.02)
QUESTION = [HumanMessage("?")]


def refusing(status: int, text: str = "", **headers: str) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def cut_in_the_middle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.abort()
    return response


FAULTS: dict[str, Any] = {
    "429": refusing(429, '{"error": {"message": "slow down"}}'),
    "500": refusing(500, "<html>broken</html>"),
    "503": refusing(503),
    "reset": cut,
    "cut": cut_in_the_middle,
    "silence": slow,
    "empty": b"",
    "garbage": b"{not json",
    "no choices": b'{"object": "chat.completion"}',
    "null choices": b'{"choices": null}',
    "empty choices": b'{"choices": []}',
    "no message": b'{"choices": [{"index": 0}]}',
    "a list": b"[1, 2]",
    "an error inside": b'{"choices": [], "error": {"message": "overloaded"}}',
    "another role": b'{"choices": [{"message": {"role": "user", "content": "?"}}]}',
    "calls of another kind": b'{"choices": [{"message": {"role": "assistant", "tool_calls": "ls"}}]}',
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_retried_and_then_forgotten(fault: str) -> None:
    retries: list[Retry] = []
    async with serving(FAULTS[fault], completion()) as server:
        subject = OpenAISubject(
            model="m",
            base_url=server.url,
            patience=QUICK,
            on_retry=retries.append,
            request_timeout_s=0.3,
        )
        async with subject.connect() as model:
            reply = await model.ask(QUESTION, tools=())
    assert (reply.text, reply.attempts) == ("fine", 2)
    assert [retry.attempt for retry in retries] == [1]
    assert server.url in retries[0].cause


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_lasting_fault_ends_in_plain_words(fault: str) -> None:
    async with serving(FAULTS[fault]) as server:
        subject = OpenAISubject(model="m", base_url=server.url, patience=QUICK, request_timeout_s=0.1)
        async with subject.connect() as model:
            with pytest.raises(ModelFailed) as failed:
                await model.ask(QUESTION, tools=())
    assert failed.value.attempts == 5
    assert server.url in failed.value.cause


async def test_nobody_there() -> None:
    async with serving(completion()) as server:
        url = server.url
    async with OpenAISubject(model="m", base_url=url, patience=QUICK).connect() as model:
        with pytest.raises(ModelFailed, match=r"after 5 attempts: http://127.* cannot be reached: Conn"):
            await model.ask(QUESTION, tools=())


async def test_retry_after_is_honoured() -> None:
    async with (
        serving(refusing(429, **{"Retry-After": "0.3"}), completion()) as server,
        OpenAISubject(model="m", base_url=server.url, patience=QUICK).connect() as model,
    ):
        began = time.monotonic()
        assert (await model.ask(QUESTION, tools=())).attempts == 2
    assert time.monotonic() - began >= 0.3


async def test_a_wait_beyond_patience_is_not_begun() -> None:
    async with (
        serving(refusing(429, **{"Retry-After": "3600"})) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(ModelFailed, match="asks to wait 3600 s") as failed:
            await model.ask(QUESTION, tools=())
    assert failed.value.attempts == 1


def test_retry_after_is_a_number_or_a_date() -> None:
    assert retry_after(None) is None
    assert retry_after("soon") is None
    assert retry_after("2") == 2.0
    assert retry_after("-2") == 0.0
    assert retry_after("nan") is None
    later = format_datetime(datetime.now(tz=UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after(later) or 0) <= 60


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
def test_waits_grow_and_stay_bounded(attempt: int) -> None:
    patience = Patience(first_wait_s=1, longest_wait_s=3, total_wait_s=10)
    waits = [patience.pause(attempt=attempt, waited_s=0, asked_s=None) for _ in range(200)]
    assert all(wait is not None and 0 <= wait <= min(3, 2 ** (attempt - 1)) for wait in waits)
    assert patience.pause(attempt=attempt, waited_s=10, asked_s=None) is None
    assert patience.pause(attempt=5, waited_s=0, asked_s=None) is None


@pytest.mark.parametrize(
    ("status", "said", "mend"),
    [
        (400, '{"error": {"message": "context too long"}}', "answered 400: context too long"),
        (401, '{"error": {"message": "bad key sk-secret"}}', "bad key .*. Set another key in OPENAI_API_KEY"),
        (403, '{"detail": "not for you"}', "answered 403: not for you"),
        (404, '{"message": "no model gtp"}', "no model gtp. The server has gpt-., gpt-."),
        (422, '{"detail": [{"loc": ["body"]}]}', "answered 422: .*body"),
    ],
)
async def test_a_refused_request_is_not_repeated(status: int, said: str, mend: str) -> None:
    async with serving(refusing(status, said)) as server:
        server.models = ["gpt-a", "gpt-b"]
        subject = OpenAISubject(model="gpt", base_url=server.url, api_key=SecretStr("sk-secret"))
        async with subject.connect() as model:
            with pytest.raises(ModelFailed, match=mend) as failed:
                await model.ask(QUESTION, tools=())
    assert failed.value.attempts == 1
    assert len(server.requests) == 1
    assert "sk-secret" not in str(failed.value)
    assert "sk-secret" not in repr(subject)


async def test_a_wrong_address_is_suspected() -> None:
    async with serving(completion()) as server:
        subject = OpenAISubject(model="m", base_url=server.url.removesuffix("/v1"))
        async with subject.connect() as model:
            with pytest.raises(ModelFailed, match="end in /v1"):
                await model.ask(QUESTION, tools=())


async def test_no_key_is_sent_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with (
        serving(refusing(401)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(ModelFailed, match="Set the key in OPENAI_API_KEY"):
            await model.ask(QUESTION, tools=())
    assert "Authorization" not in server.headers[0]


async def test_a_terminal_never_sees_control_characters() -> None:
    async with (
        serving(refusing(400, "\x1b[31mred\x07\nline" + "x" * 9999)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(ModelFailed) as failed:
            await model.ask(QUESTION, tools=())
    assert failed.value.cause.isprintable()
    assert len(failed.value.cause) < 500


@pytest.mark.parametrize("answer", [slow, refusing(429, **{"Retry-After": "60"})])
async def test_a_cancelled_question_ends_at_once(answer: Any) -> None:
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await model.ask(QUESTION, tools=())
        assert time.monotonic() - began < 1


async def test_another_chat_models_fault_is_a_failed_model() -> None:
    async with (
        serving(refusing(500, "broken")) as server,
        common_chat(server.url) as chat,
        ChatSubject(chat=chat, name="mine").connect() as model,
    ):
        with pytest.raises(ModelFailed, match="OpenAIAPIError"):
            await model.ask(QUESTION, tools=())


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "the request exceeds the available context size (4096 tokens), try increasing it",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (40000) exceeds the maximum number of tokens allowed (32768).",
        "Input is too long for requested model.",
        "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        "Range of input length should be [1, 30720]",
        "Please reduce the length of the messages or completion.",
        "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens",
    ],
)
async def test_a_conversation_that_is_too_long_is_a_fault_of_its_own(said: str) -> None:
    answer = web.json_response({"error": {"message": said}}, status=400)
    async with serving(answer) as server, common_chat(server.url) as theirs:
        ours = OpenAISubject(model="m", base_url=server.url)
        subjects: list[Subject] = [ours, ChatSubject(chat=theirs, name="mine")]
        for subject in subjects:
            async with subject.connect() as model:
                with pytest.raises(ContextFull, match="after 1 attempt"):
                    await model.ask(QUESTION, tools=())


async def test_a_conversation_that_is_too_long_may_be_told_by_its_code_alone() -> None:
    async with (
        serving(refusing(400, '{"error": {"message": "no", "code": "context_length_exceeded"}}')) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(ContextFull):
            await model.ask(QUESTION, tools=())


async def test_whoever_stops_waiting_is_told_what_for() -> None:
    async with (
        serving(refusing(503, "busy", **{"Retry-After": "30"})) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        asking = asyncio.ensure_future(model.ask(QUESTION, tools=()))
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError) as end:
            await asking
    (note,) = end.value.__notes__
    assert note == f"asked once: {server.url}/chat/completions answered 503: busy (it asks to wait 30 s)"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:8000", "not an http address"),
        ("ftp://host/v1", "not an http address"),
        ("http://me:sk-secret@127.0.0.1/v1", "must hold no credentials"),
    ],
)
async def test_an_address_that_cannot_be_used(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        async with OpenAISubject(model="m", base_url=url).connect():
            pass
    assert "sk-secret" not in str(refused.value)


FILTERS = {
    "azure": (
        400,
        {
            "error": {
                "message": "The response was filtered",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
    ),
    "openai": (
        400,
        {"error": {"message": "Not allowed", "code": "content_policy_violation"}},
    ),
    "openrouter": (
        403,
        {"error": {"message": "requires moderation. Your input was flagged", "code": 403}},
    ),
    "dashscope": (400, {"error": {"code": "data_inspection_failed", "message": "inappropriate content"}}),
    "in a 200": (200, {"error": {"code": 400, "type": "content_filter", "message": "filtered"}}),
}


@pytest.mark.parametrize("gateway", FILTERS)
async def test_what_a_filter_stops_is_a_refusal(gateway: str) -> None:
    status, said = FILTERS[gateway]
    async with (
        serving(web.json_response(said, status=status)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        reply = await model.ask(QUESTION, tools=())
    assert (reply.refused, reply.finish, reply.attempts) == (True, "content_filter", 1)
    assert reply.text == said["error"]["message"]  # type: ignore[index]
    assert reply.usage.prompt_tokens == -(-len(server.bodies[0]) // 4)


async def test_another_chat_models_filter_is_a_refusal_too() -> None:
    said = FILTERS["azure"][1]
    async with (
        serving(web.json_response(said, status=400)) as server,
        common_chat(server.url) as chat,
        ChatSubject(chat=chat, name="mine").connect() as model,
    ):
        assert (await model.ask(QUESTION, tools=())).refused


async def test_words_about_filters_are_no_filter() -> None:
    said = {"error": {"message": "unknown parameter: moderation", "code": "invalid_request"}}
    async with (
        serving(web.json_response(said, status=400)) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(ModelFailed, match="unknown parameter"):
            await model.ask(QUESTION, tools=())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusing(429, '{"error": {"message": "no", "code": "insufficient_quota"}}'), "nothing left to pay"),
        (refusing(402, "pay"), "nothing left to pay"),
        (
            web.json_response({"error": {"message": "no model m", "code": 404}}),
            "with an error 404: no model m",
        ),
    ],
)
async def test_what_waiting_cannot_mend_is_not_waited_for(answer: web.Response, said: str) -> None:
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        with pytest.raises(ModelFailed, match=said) as failed:
            await model.ask(QUESTION, tools=())
    assert failed.value.attempts == 1


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-4-0613"),
        ("org/name", "name"),
        ("name", "org/name"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("llama3.1", "llama3.1:latest"),
        ("openai/gpt-4o:free", "openai/gpt-4o"),
        ("m", "/models/m.gguf"),
        ("gemini-1.5-pro", "gemini-1.5-pro-002"),
        ("m", ""),
    ],
)
def test_one_model_has_many_names(asked: str, served: str) -> None:
    assert same_model(asked, served)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("gpt-4", "gpt-4.1"),
        ("gpt-4", "gpt-5"),
        ("qwen2", "qwen2.5"),
        ("qwen3:8b", "qwen3:4b"),
        ("mistral-7b-v0.1", "mistral-7b-v0.3"),
    ],
)
def test_another_model_is_told_by_its_name(asked: str, served: str) -> None:
    assert not same_model(asked, served)
    assert same_model(asked, served, accepted=(served,))
    assert same_model(asked, served, accepted=("*",))


async def test_an_answer_of_another_model_comes_with_its_cost() -> None:
    async with (
        serving(completion() | {"model": "cheap"}) as server,
        OpenAISubject(model="m", base_url=server.url).connect() as model,
    ):
        with pytest.raises(AnotherModel, match="'cheap' answered where 'm' was asked") as other:
            await model.ask(QUESTION, tools=())
    assert other.value.reply.usage.tokens == 110


async def test_two_calls_of_one_id_are_told_apart() -> None:
    answer = completion(calls=[("shell", "{}"), ("shell", "{}")])
    for call in answer["choices"][0]["message"]["tool_calls"]:
        call["id"] = "same"
    async with serving(answer) as server, OpenAISubject(model="m", base_url=server.url).connect() as model:
        first, second = (await model.ask(QUESTION, tools=())).calls
    assert first.id == "same"
    assert second.id != "same"


async def test_a_call_that_waits_to_be_asked_again_holds_nobody_up() -> None:
    async with serving(refusing(500), completion()) as server:
        slow_again = Patience(first_wait_s=30)
        pacer = Pacer(Pace(at_once=1))
        subject = OpenAISubject(model="m", base_url=server.url, patience=slow_again)
        async with subject.connect() as model:
            broker = Broker(model, pacer=pacer)
            waiting = asyncio.create_task(broker.admit(budget=Budget()).first.ask(QUESTION))
            while not server.requests:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
            other = await broker.admit(budget=Budget()).first.ask(QUESTION)
            waiting.cancel()
    assert (other.text, other.attempts) == ("fine", 1)
    assert pacer.attempts == 2
