from __future__ import annotations

import pytest
from chat_server import completion, serving
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from scaffold.models import OpenAISubject, Price, Sampling, SimulatedSubject, TextToolsSubject, parse_subject
from scaffold.models.connected import LangChainModel, PooledModel

pytestmark = pytest.mark.anyio


def test_a_specification_names_its_subject() -> None:
    subject = parse_subject("openai:org/model:tag", base_url="http://127.0.0.1:1/v1")
    assert isinstance(subject, OpenAISubject)
    assert (subject.name, subject.simulated) == ("openai:org/model:tag", False)
    simulated = parse_subject("simulated:steady")
    assert isinstance(simulated, SimulatedSubject)
    assert (simulated.name, simulated.simulated) == ("simulated:steady", True)
    assert isinstance(parse_subject("simulated:weak", tools="text"), TextToolsSubject)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("opnai:gpt", "did you mean openai"),
        ("gpt-4o", "write openai:NAME, .*langchain:MODULE:CLASS or simulated:PROFILE"),
        ("openai:", "openai:NAME"),
        ("simulated:stedy", "did you mean steady"),
        ("simulated:xyz", "there are steady, capable"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(spec: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_subject(spec)


async def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(completion()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
        async with parse_subject("openai:m", sampling=Sampling(temperature=0.25)).connect() as model:
            await model.ask([HumanMessage("?")], tools=())
    assert server.headers[0]["Authorization"] == "Bearer sk-environment"
    assert server.requests[0]["temperature"] == 0.25


def test_a_key_is_never_shown() -> None:
    subject = parse_subject("openai:m", api_key=SecretStr("sk-secret"))
    assert isinstance(subject, OpenAISubject)
    for shown in (repr(subject), str(subject), repr(subject.chat())):
        assert "sk-secret" not in shown


async def test_a_model_of_the_responses_api_goes_the_way_of_langchain() -> None:
    key = SecretStr("sk-test")
    async with OpenAISubject(model="gpt-5-pro", api_key=key).connect() as model:
        assert isinstance(model, LangChainModel)
    own_server = OpenAISubject(model="gpt-5-pro", base_url="http://127.0.0.1:1/v1", api_key=key)
    async with own_server.connect() as model:
        assert isinstance(model, PooledModel)


def test_cached_tokens_may_cost_less() -> None:
    price = Price(prompt_per_million=2.0, completion_per_million=8.0, cached_per_million=0.5)
    assert price.of(prompt=1_000_000, completion=500_000, cached=400_000) == pytest.approx(1.2 + 0.2 + 4.0)
    assert (
        Price(prompt_per_million=2.0, completion_per_million=0).of(prompt=10, completion=0, cached=10) == 2e-5
    )
