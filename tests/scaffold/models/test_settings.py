"""What a user sets reaches the server, and what a server tells apart stays apart."""

from __future__ import annotations

from typing import Any

import pytest
from chat_server import completion, serving
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from scaffold import SubjectUnavailable
from scaffold.models import Calling, ChatSubject, Sampling, parse_subject
from scaffold.tools import DEFAULT_TOOLS

pytestmark = pytest.mark.anyio


async def asked(
    answer: Any = None, *, tool_choice: Any = "auto", seed: int | None = 7, **settings: Any
) -> Any:
    """What the server was sent, with what headers, and the reply."""
    async with serving(answer or completion()) as server:
        subject = parse_subject("openai:m", base_url=server.url, **settings)
        async with subject.connect() as model:
            reply = await model.ask(
                [HumanMessage("?")], tools=DEFAULT_TOOLS[:1], tool_choice=tool_choice, seed=seed
            )
    return server.requests[0], server.headers[0], reply


async def test_sampling_is_sent_as_the_server_knows_it() -> None:
    settings = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64, "top_k": 20}
    request, _, _ = await asked(sampling=Sampling.of(settings))
    assert request["seed"] == 7
    assert {name: request[name] for name in settings} == settings


async def test_a_server_that_refuses_seeds_is_sent_none() -> None:
    request, _, _ = await asked(sampling=Sampling.of({"seeded": False}))
    assert "seed" not in request


async def test_calls_can_be_required_one_at_a_time_and_held_to_their_schema() -> None:
    calling = Calling(choice="required", parallel=False, strict=True)
    request, _, _ = await asked(calling=calling)
    assert (request["tool_choice"], request["parallel_tool_calls"]) == ("required", False)
    assert request["tools"][0]["function"]["strict"] is True
    request, _, _ = await asked(calling=calling, tool_choice="none")
    assert request["tool_choice"] == "none"


async def test_headers_are_sent_and_a_secret_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "s3cret")
    _, headers, _ = await asked(headers={"X-Team": "evals", "X-Api-Key": "env:GATEWAY_KEY"})
    assert (headers["X-Team"], headers["X-Api-Key"]) == ("evals", "s3cret")
    monkeypatch.delenv("GATEWAY_KEY")
    with pytest.raises(SubjectUnavailable, match="GATEWAY_KEY, which is not set"):
        await asked(headers={"X-Api-Key": "env:GATEWAY_KEY"})


@pytest.mark.parametrize(
    ("answer", "text", "reasoning"),
    [
        (completion("done", reasoning_content="hm"), "done", "hm"),
        (completion("done", reasoning="hm"), "done", "hm"),
        (completion("<think>\nhm\n</think>\n\ndone"), "done", "hm"),
        (completion("hm\n</think>\n\ndone"), "done", "hm"),
        (completion("<think></think>done"), "done", ""),
        (completion("a <think> tag alone"), "a <think> tag alone", ""),
        (completion(None, reasoning_content="hm", calls=[("shell", "{}")]), "", "hm"),
        (completion("done", reasoning=None), "done", ""),
    ],
)
async def test_what_was_thought_is_kept_apart(answer: dict[str, Any], text: str, reasoning: str) -> None:
    _, _, reply = await asked(answer)
    assert (reply.text, reply.reasoning) == (text, reasoning)
    assert str(reply.message.content or "") == text


async def test_a_reply_says_which_model_answered_and_why_it_stopped() -> None:
    _, _, reply = await asked(completion("cut", finish="length") | {"model": "another"}, served=("anoth*",))
    assert (reply.served, reply.finish) == ("another", "length")


async def test_any_langchain_chat_model_is_named_by_its_class() -> None:
    async with serving(completion("yes")) as server:
        settings = {"model": "m", "base_url": server.url, "api_key": "sk-x", "temperature": 0.25}
        subject = parse_subject("langchain:langchain_openai:ChatOpenAI", sampling=Sampling.of(settings))
        assert isinstance(subject, ChatSubject)
        assert isinstance(subject.chat, ChatOpenAI)
        assert subject.chat.openai_api_key == SecretStr("sk-x")
        assert subject.chat.temperature == 0.25
    assert subject.name == "langchain:langchain_openai:ChatOpenAI"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere_at_all:Chat", "cannot be imported.*install the package"),
        ("langchain_openai:ChatOpenWrong", "has no ChatOpenWrong"),
        ("langchain_openai", "names no class; write langchain:MODULE:CLASS"),
        ("pathlib:Path", "is no LangChain chat model"),
    ],
)
def test_a_class_that_is_none_is_said_to_be_none(place: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_subject(f"langchain:{place}")


def test_settings_that_a_class_does_not_take_are_named() -> None:
    with pytest.raises(ValueError, match="--set NAME=VALUE"):
        parse_subject("langchain:langchain_openai:ChatOpenAI", sampling=Sampling.of({"max_retries": "many"}))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": "hot"},
        {"temperature": -1},
        {"top_p": 1.5},
        {"max_tokens": 0},
        {"max_tokens": 2.5},
        {"max_tokens": True},
        {"seeded": "no"},
    ],
)
def test_settings_that_no_server_takes_are_refused_by_name(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"^{name} is .*: it is "):
        Sampling.of(settings)
