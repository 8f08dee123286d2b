"""Every call goes through one point: counted there, refused there, recorded there once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from scaffold import (
    Broker,
    Budget,
    BudgetSpent,
    Context,
    DescentRefused,
    KeyRevoked,
    Lineage,
    ModelFailed,
    Reply,
    Usage,
    react,
)
from scaffold.broker import Pace, Pacer
from scaffold.events import Asked, GenerationEnded, NoDescent, Replied
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.events import Event

pytestmark = pytest.mark.anyio

ANSWER = Reply(
    message=AIMessage(content="fine"),
    text="fine",
    calls=(),
    usage=Usage(calls=1, prompt_tokens=9, completion_tokens=1, money=0.5),
)
HELLO = [HumanMessage("Hello")]


@dataclass(kw_only=True)
class Held:
    """A connected subject that answers when it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    under_way: int = 0
    most: int = 0

    async def ask(self, *_: object, **__: object) -> Reply:
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.let.wait()
        finally:
            self.under_way -= 1
        return ANSWER


def open_subject() -> Held:
    model = Held()
    model.let.set()
    return model


def events_of(broker: Broker, budget: Budget) -> tuple[Lineage, list[Event]]:
    events: list[Event] = []
    return broker.admit(budget=budget, emit=events.append), events


@pytest.mark.parametrize(
    ("budget", "limit", "exactly"),
    [
        (Budget(steps=25), "steps", True),
        (Budget(tokens=100), "tokens", False),
        (Budget(money=5.0), "money", False),
    ],
)
async def test_many_calls_at_once_do_not_pass_the_budget(budget: Budget, limit: str, exactly: bool) -> None:  # noqa: FBT001
    at_once, model = 4, Held()
    lineage, events = events_of(Broker(model, pacer=Pacer(Pace(at_once=at_once))), budget)
    calls = [asyncio.create_task(lineage.first.ask(HELLO)) for _ in range(60)]
    await asyncio.sleep(0)
    model.let.set()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [fault for fault in ended if isinstance(fault, BudgetSpent)]
    answered = [reply for reply in ended if isinstance(reply, Reply)]
    assert {fault.limit for fault in refused} == {limit}
    assert len(answered) + len(refused) == 60
    assert model.most == at_once
    within = 25 if exactly else 10
    assert within <= len(answered) < within + (1 if exactly else at_once)
    assert model.asked == len(answered) == lineage.meter.usage.calls == lineage.first.calls
    assert sum(isinstance(event, Asked) for event in events) == len(answered)
    assert sum(isinstance(event, Replied) for event in events) == len(answered)
    assert sorted(event.step for event in events if isinstance(event, Asked)) == [
        *range(1, len(answered) + 1)
    ]


async def test_a_revoked_key_asks_nothing() -> None:
    model = open_subject()
    broker = Broker(model)
    lineage, events = events_of(broker, Budget())
    other, _ = events_of(broker, Budget())
    await lineage.first.ask(HELLO)
    broker.revoke(lineage.first, "the lease has lapsed")
    with pytest.raises(KeyRevoked, match="the lease has lapsed"):
        await lineage.first.ask(HELLO)
    assert (model.asked, lineage.meter.steps) == (1, 1)
    assert len(events) == 2
    await other.first.ask(HELLO)
    broker.revoke_all("halted")
    with pytest.raises(KeyRevoked, match="halted"):
        await other.first.ask(HELLO)
    with pytest.raises(KeyRevoked, match="halted"):
        broker.admit(budget=Budget())
    with pytest.raises(KeyRevoked, match="the lease has lapsed"):  # the first reason stands
        await lineage.first.ask(HELLO)


async def test_an_answer_that_comes_after_the_end_is_paid_for_and_not_handed_on() -> None:
    model = Held()
    broker = Broker(model)
    lineage, events = events_of(broker, Budget())
    asking = asyncio.create_task(lineage.first.ask(HELLO))
    await asyncio.sleep(0)
    assert model.under_way == 1
    broker.revoke_all("halted")
    model.let.set()
    with pytest.raises(KeyRevoked, match="halted"):
        await asking
    assert (lineage.meter.usage.tokens, lineage.meter.usage.money) == (10, 0.5)
    assert [event.kind for event in events] == ["asked", "replied"]


async def test_whoever_waits_for_a_turn_while_keys_are_revoked_asks_nothing() -> None:
    model = Held()
    broker = Broker(model, pacer=Pacer(Pace(at_once=1)))
    lineage, _ = events_of(broker, Budget())
    first, second = (asyncio.create_task(lineage.first.ask(HELLO)) for _ in range(2))
    await asyncio.sleep(0)
    broker.revoke_all("halted")
    model.let.set()
    ended = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(fault, KeyRevoked) for fault in ended)
    assert (model.asked, lineage.meter.steps) == (1, 1)


async def test_a_lease_that_lapsed_is_noticed_before_the_next_call_and_for_good() -> None:
    model, lapsed = open_subject(), [""]
    broker = Broker(model, valid=lambda: lapsed[0] or None)
    lineage, _ = events_of(broker, Budget())
    await lineage.first.ask(HELLO)
    lapsed[0] = "the runner's lease lapsed 3 s ago"
    with pytest.raises(KeyRevoked, match="lapsed 3 s ago"):
        await lineage.first.ask(HELLO)
    lapsed[0] = ""
    with pytest.raises(KeyRevoked, match="lapsed 3 s ago"):
        await lineage.first.ask(HELLO)
    assert model.asked == 1


async def test_time_lost_waiting_for_a_turn_is_not_the_agents(machine: Environment) -> None:
    model = Held()
    broker = Broker(model, pacer=Pacer(Pace(at_once=1)))
    busy = asyncio.create_task(broker.admit(budget=Budget()).first.ask(HELLO))
    await asyncio.sleep(0)
    key = broker.admit(budget=Budget(seconds=1)).first
    run = react().run("Go on.", machine, context=Context(env=machine, key=key, seed=0))
    waiting = asyncio.create_task(run)
    await asyncio.sleep(1.2)
    assert not waiting.done(), "its time was not taken by somebody else's call"
    busy.cancel()
    with suppress(ModelFailed):  # where most of its time goes into its own call
        assert (await waiting).limit == "seconds"
    assert model.asked == 2
    assert key.lineage.meter.stood > 0


def test_a_key_shows_its_token_to_nobody() -> None:
    async def made() -> tuple[str, str, str]:
        lineage, _ = events_of(Broker(open_subject()), Budget())
        return repr(lineage.first), lineage.first.token, lineage.descend(lineage.first).token

    shown, token, other = asyncio.run(made())
    assert token not in shown
    assert len(token) >= 43
    assert token != other


# ---------------------------------------------------------------------------- lineage


def loop(turns: int) -> Scripted:
    return Scripted(replies=[[call("shell", command="true")]] * turns + [[call("finish", summary="done")]])


async def test_generations_spend_one_budget(machine: Environment) -> None:
    events: list[Event] = []
    budget = Budget(steps=7, generations=2)
    context = Context.start(env=machine, model=loop(3), budget=budget, emit=events.append)
    first = await react().run("Go on.", machine, context=context)
    assert (first.stop, first.steps) == ("finished", 4)
    async with context.descend(env=machine) as child:
        second = await react().run("Go on.", machine, context=child)
    assert (second.stop, second.limit) == ("limit", "steps")
    assert context.meter.steps == 7
    assert [context.key.calls, child.key.calls] == [4, 3]
    generations = [event.generation for event in events if isinstance(event, Asked)]
    assert generations == [0] * 4 + [1] * 3
    (ended,) = [event for event in events if isinstance(event, GenerationEnded)]
    assert (ended.number, ended.parent, ended.calls, ended.tokens) == (1, 0, 3, child.key.usage.tokens)
    with pytest.raises(KeyRevoked, match="its loop has ended"):
        await child.key.ask(HELLO)


async def test_the_cap_of_generations_holds(machine: Environment) -> None:
    events: list[Event] = []
    context = Context.start(
        env=machine, model=loop(0), budget=Budget(generations=2, population=16), emit=events.append
    )
    async with context.descend(env=machine) as child, child.descend(env=machine) as grandchild:
        assert [each.key.generation for each in (context, child, grandchild)] == [0, 1, 2]
        with pytest.raises(DescentRefused, match="generation 3 is beyond the cap of 2"):
            async with grandchild.descend(env=machine):
                pass
    assert [event.parent for event in events if isinstance(event, NoDescent)] == [2]


async def test_the_cap_of_loops_holds_and_the_dead_have_no_children(machine: Environment) -> None:
    context = Context.start(env=machine, model=loop(0), budget=Budget(generations=1, population=3))
    for _ in range(2):
        async with context.descend(env=machine) as child:
            pass
    with pytest.raises(DescentRefused, match="has 3 loops"):
        async with context.descend(env=machine):
            pass
    with pytest.raises(DescentRefused, match="was revoked"):
        context.key.lineage.descend(child.key)


@pytest.mark.parametrize("caps", [{"generations": 6}, {"generations": -1}, {"population": 17}])
def test_caps_have_a_cap(caps: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"less than or equal|greater than or equal"):
        Budget(**caps)
