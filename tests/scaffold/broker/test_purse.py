"""What many trials share: refused at one point before each call, whoever asks, and passed by nobody twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from chat_server import completion, serving
from langchain_core.messages import AIMessage, HumanMessage

from scaffold import Broker, Budget, BudgetSpent, Purse, PurseEmpty, Reply, Usage, react
from scaffold.context import Context
from scaffold.models import Price, parse_subject
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from environments import Environment
    from scaffold import Key, Model

pytestmark = pytest.mark.anyio

HELLO = [HumanMessage("Hello")]
PRICE = Price(prompt_per_million=1000.0, completion_per_million=10_000.0)
A_CALL = 110
"""Tokens of each, of which 10 are the answer's: 0.2 in money."""


@dataclass(kw_only=True)
class Counted:
    """Counts a real subject's calls that have no answer yet, as the broker sees them."""

    model: Model
    under_way: int = 0
    most: int = 0

    async def ask(self, *arguments: Any, **options: Any) -> Reply:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.model.ask(*arguments, **options)
        finally:
            self.under_way -= 1


async def asking_on(key: Key) -> None:
    while True:
        await key.ask(HELLO)


@pytest.mark.parametrize("limit", [{"money": 5.0}, {"tokens": 25 * A_CALL}], ids=["money", "tokens"])
async def test_sixty_trials_at_once_pass_a_limit_by_the_calls_in_flight_at_most(
    limit: dict[str, float],
) -> None:
    whole = Purse("the study", **limit)  # type: ignore[arg-type]
    async with serving(completion()) as server:
        subject = parse_subject("openai:m", base_url=server.url, price=PRICE)
        async with subject.connect() as model:
            counted = Counted(model=model)
            broker = Broker(counted)

            async def trial() -> None:
                purse = Purse("the trial", within=whole)
                lineage = broker.admit(budget=Budget(steps=1000), purse=purse)
                with pytest.raises(PurseEmpty, match="what the study may spend"):
                    await asking_on(lineage.first)
                assert purse.refused is not None
                assert purse.spent.calls == lineage.first.calls

            async with asyncio.TaskGroup() as trials:
                for _ in range(60):
                    trials.create_task(trial())
    asked = len(server.requests)
    assert whole.spent.calls == asked  # what the server answered is what was counted, each call once
    assert 25 <= asked < 25 + counted.most
    assert whole.spent.tokens == asked * A_CALL
    assert whole.spent.money == pytest.approx(asked * 0.2)


ANSWER = Reply(
    message=AIMessage(content="fine"),
    text="fine",
    calls=(),
    usage=Usage(calls=1, prompt_tokens=9, completion_tokens=1, money=0.5),
)


@dataclass(frozen=True, kw_only=True)
class Answering:
    reply: Reply = ANSWER

    async def ask(self, *_: object, **__: object) -> Reply:
        return self.reply


async def test_an_arms_limit_leaves_the_study_its_money() -> None:
    whole = Purse("the study", money=10)
    arms = [Purse(f"arm {name}", money=1, within=whole) for name in "ab"]
    broker = Broker(Answering())
    first, second = (broker.admit(budget=Budget(), purse=Purse("the trial", within=each)) for each in arms)
    await first.first.ask(HELLO)
    await first.first.ask(HELLO)
    with pytest.raises(PurseEmpty, match="arm a may spend in money"):
        await first.first.ask(HELLO)
    await second.first.ask(HELLO)
    assert [each.spent.money for each in (*arms, whole)] == [1.0, 0.5, 1.5]


async def test_what_was_answered_from_a_cache_is_not_paid_for() -> None:
    purse = Purse("the study", money=0.4)
    broker = Broker(Answering(reply=replace(ANSWER, from_cache=True)))
    lineage = broker.admit(budget=Budget(), purse=purse)
    for _ in range(3):
        await lineage.first.ask(HELLO)
    assert purse.spent == Usage()


async def test_a_scaffold_ends_as_at_any_limit_and_the_purse_says_why(machine: Environment) -> None:
    purse = Purse("the study", tokens=30)
    subject = Scripted(replies=[[call("shell", command="true")]] * 9)
    lineage = Broker(subject).admit(budget=Budget(), purse=purse)
    context = Context(env=machine, key=lineage.first, seed=0)
    episode = await react().run("Do it.", machine, context=context)
    assert (episode.stop, episode.limit) == ("limit", "the study tokens")
    assert isinstance(purse.refused, BudgetSpent)
    assert purse.spent.tokens >= 30
