from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest
from chat_server import completion, serving
from langchain_core.messages import HumanMessage

from scaffold.models import (
    FREE,
    NO_PRICES,
    NOT_KNOWN,
    ChatSubject,
    OpenAISubject,
    Price,
    PriceFault,
    Prices,
    Sampling,
    parse_subject,
    price_of,
)
from scaffold.models import prices as table

SHIPPED = Path(table.__file__).with_name("prices.toml")
OWN = """\
currency = "USD"

[models."gpt-4o"]
prompt = 1
completion = 2
looked_up = 2026-11-24

[models.my-model]
prompt = 0.5
cached = 0.05
completion = 1.5
"""


@pytest.fixture(autouse=True)
def _no_table_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDLINE_PRICES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def own(folder: Path, text: str = OWN) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_every_entry_that_is_shipped_has_its_day_and_a_cache_that_costs_no_more() -> None:
    entries = tomllib.loads(SHIPPED.read_text())["models"]
    assert len(entries) > 30
    for name, entry in entries.items():
        assert isinstance(entry["looked_up"], date), name
        assert 0 < entry.get("cached", entry["prompt"]) <= entry["prompt"] <= entry["completion"], name
        assert entry.get("written", entry["prompt"]) >= entry["prompt"], name


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "GPT-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-latest",
        "openai/gpt-4o",
        "openrouter/openai/gpt-4o-2024-08-06",
        "gpt-4o@20240806",
    ],
)
def test_a_model_is_known_by_its_name_its_date_and_its_provider(name: str) -> None:
    price = Prices.shipped().of(name)
    assert price is not None
    assert (price.prompt_per_million, price.cached_per_million) == (2.5, 1.25)


def test_versions_with_a_dot_and_with_a_dash_are_the_same() -> None:
    price = Prices.shipped().of("claude-haiku-4-5-20251001")
    assert price is not None
    assert price == Prices.shipped().of("anthropic/claude-haiku-4.5")


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4o-mine", "gpt-4o:free", "o", "", "my/own", "gpt-4o/"])
def test_what_only_resembles_a_name_has_no_price(name: str) -> None:
    assert Prices.shipped().of(name) is None


def test_the_users_table_lies_over_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices.usual(own(tmp_path))
    assert prices.of("gpt-4o") == Price(prompt_per_million=1, completion_per_million=2)
    assert prices.of("gpt-4o-mini") == Prices.shipped().of("gpt-4o-mini")
    monkeypatch.setenv("REDLINE_PRICES", str(own(tmp_path)))
    assert Prices.usual() == prices
    monkeypatch.delenv("REDLINE_PRICES")
    assert Prices.usual() == Prices.shipped()
    there = tmp_path / "config" / "redline"
    there.mkdir(parents=True)
    own(there).rename(there / "prices.toml")
    assert Prices.usual() == prices


def test_currencies_are_never_mixed(tmp_path: Path) -> None:
    prices = Prices.usual(own(tmp_path, OWN.replace("USD", "EUR")))
    assert (prices.currency, len(prices.entries)) == ("EUR", 2)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("currency = \n", 1, "not TOML"),
        ('currency = "USD"\n\n[models.a\nprompt = 1\n', 3, "not TOML"),
        ("currency = 7\n", 1, "the currency is no text"),
        ('currency = "USD"\n[model.a]\nprompt = 1\n', 2, r"write \[models.NAME\]"),
        ('[models."a"]\nprompt = 1\n', 1, "a lacks the price of its completion tokens"),
        ("[models.a]\nprompt = 1\ncompletion = -2\n", 3, "completion of a is -2"),
        ('[models.a]\nprompt = "1"\ncompletion = 2\n', 2, "prompt of a is '1'"),
        ("[models.a]\nprompt = 1\ncompletion = nan\n", 3, "completion of a is nan"),
        ("[models.a]\nprompt = true\ncompletion = 2\n", 2, "prompt of a is True"),
        ("[models.a]\nprompt = 1\ncompletion = 2\noutput = 3\n", 4, "a has no 'output'"),
        ("[models]\na = 3\n", 2, "the price of a is no table"),
    ],
)
def test_a_malformed_table_says_file_line_and_what_is_wrong(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = own(tmp_path, text)
    with pytest.raises(PriceFault, match=f"^{path}:{line}: .*{said}"):
        Prices.load(path)


def test_a_table_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceFault, match=f"cannot read the price table {tmp_path / 'none'}: No such file"):
        Prices.load(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(PriceFault, match="is not UTF-8"):
        Prices.load(tmp_path / "bytes")


def test_subjects_by_name_have_the_tables_price_and_others_none_that_is_known() -> None:
    assert price_of(parse_subject("openai:gpt-4o")).prompt_per_million == 2.5
    assert price_of(parse_subject("openai:gpt-4o", tools="text")).prompt_per_million == 2.5
    assert price_of(parse_subject("openai:gpt-4o", price=FREE)) == FREE
    assert price_of(parse_subject("openai:gpt-4o", prices=NO_PRICES)) == NOT_KNOWN
    assert not price_of(parse_subject("openai:nobody-knows")).known
    assert not price_of(OpenAISubject(model="gpt-4o")).known
    assert price_of(parse_subject("simulated:steady")) == FREE


def test_a_chat_model_of_langchain_is_looked_up_by_its_model() -> None:
    module = "langchain:scaffold.models:PooledChatOpenAI"
    subject = parse_subject(module, sampling=Sampling.of({"model": "gpt-4o", "api_key": "none"}))
    assert isinstance(subject, ChatSubject)
    assert subject.price.prompt_per_million == 2.5


@pytest.mark.anyio
async def test_cached_tokens_are_counted_and_paid_apart() -> None:
    usage = {
        "prompt_tokens": 1_000_000,
        "completion_tokens": 100_000,
        "total_tokens": 1_100_000,
        "prompt_tokens_details": {"cached_tokens": 900_000},
    }
    async with serving(completion(usage=usage)) as server:
        subject = parse_subject("openai:gpt-4o", base_url=server.url)
        async with subject.connect() as model:
            reply = await model.ask([HumanMessage("hello")], tools=())
    assert reply.usage.cached_tokens == 900_000
    assert reply.usage.money == pytest.approx(0.1 * 2.5 + 0.9 * 1.25 + 0.1 * 10)


def test_tokens_written_to_a_cache_have_a_price_of_their_own() -> None:
    price = Price(prompt_per_million=4, completion_per_million=0, cached_per_million=1, written_per_million=5)
    assert price.of(prompt=1_000_000, completion=0, cached=500_000, written=250_000) == 0.25 * 4 + 0.5 + 1.25
