"""Budgets hold between steps and during them, and a silent server is not the agent's fault."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from environments import Broken
from scaffold import (
    Budget,
    BudgetSpent,
    Context,
    FacultyScaffold,
    Meter,
    ModelFailed,
    Reference,
    Usage,
    react,
)
from scaffold.events import LimitReached
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from environments import Environment, ExecResult
    from scaffold.events import Event

pytestmark = pytest.mark.anyio

FOREVER = Scripted(replies=[[call("shell", command="true")]] * 5000)


async def survivors(pattern: str, machine: Environment) -> ExecResult:
    return await machine.exec(["pgrep", "-f", pattern])


@pytest.mark.parametrize(
    ("budget", "limit", "steps"),
    [
        (Budget(steps=3), "steps", 3),
        (Budget(tokens=25), "tokens", 1),
        (Budget(seconds=0.4, steps=10_000), "seconds", None),
    ],
)
async def test_the_limit_that_ran_out_is_named(
    machine: Environment, budget: Budget, limit: str, steps: int | None
) -> None:
    events: list[Event] = []
    context = Context.start(env=machine, model=FOREVER, budget=budget, emit=events.append)
    episode = await react().run("Go on.", machine, context=context)
    assert (episode.stop, episode.limit, episode.submission) == ("limit", limit, None)
    assert [event.limit for event in events if isinstance(event, LimitReached)] == [limit]
    if steps is not None:
        assert episode.steps == steps


async def test_money_runs_out() -> None:
    meter = Meter(Budget(money=0.01))
    meter.before_call()
    meter.spend(Usage(calls=1, money=0.02))
    with pytest.raises(BudgetSpent, match="money"):
        meter.before_call()
    assert meter.steps == 1


async def test_a_command_under_way_at_the_deadline_is_killed(machine: Environment) -> None:
    slow = Scripted(replies=[[call("shell", command="sleep 31.4159 & sleep 31.4159")]])
    context = Context.start(env=machine, model=slow, budget=Budget(seconds=0.5))
    began = time.monotonic()
    episode = await react().run("Go on.", machine, context=context)
    assert time.monotonic() - began < 3
    assert (episode.stop, episode.limit) == ("limit", "seconds")
    assert (await survivors("sleep 31[.]4159", machine)).status == 1


async def test_commands_of_several_groups_are_all_killed(machine: Environment) -> None:
    both = [
        call("shell", command="sleep 27.1828"),
        call("start_process", command="true"),
        call("http_request", url="http://127.0.0.1:1/"),
        call("shell", command="sleep 27.1828"),
    ]
    context = Context.start(env=machine, model=Scripted(replies=[both]), budget=Budget(seconds=0.8))
    episode = await FacultyScaffold(explore=None, plan=None).run("Go on.", machine, context=context)
    assert episode.limit == "seconds"
    assert (await survivors("sleep 27[.]1828", machine)).status == 1


async def test_cancelling_a_trial_kills_its_command(machine: Environment) -> None:
    slow = Scripted(replies=[[call("shell", command="sleep 16.1803")]])
    context = Context.start(env=machine, model=slow, budget=Budget())
    running = asyncio.ensure_future(react().run("Go on.", machine, context=context))
    await asyncio.sleep(0.4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await survivors("sleep 16[.]1803", machine)).status == 1


class Late(Scripted):
    """Answers the first requests at once and one of them never."""

    async def ask(self, messages: Any, **options: Any) -> Any:
        if sum(message.type == "ai" for message in messages) == len(self.replies):
            await asyncio.sleep(60)
        return await super().ask(messages, **options)


async def test_a_server_silent_for_most_of_the_time_failed(machine: Environment) -> None:
    context = Context.start(env=machine, model=Late(replies=[]), budget=Budget(seconds=0.4))
    with pytest.raises(ModelFailed, match="no answer within the trial's time"):
        await react().run("Go on.", machine, context=context)


async def test_a_server_asked_shortly_before_the_end_did_not(machine: Environment) -> None:
    late = Late(replies=[[call("shell", command="sleep 0.6")]])
    context = Context.start(env=machine, model=late, budget=Budget(seconds=0.8))
    episode = await react().run("Go on.", machine, context=context)
    assert (episode.stop, episode.limit) == ("limit", "seconds")


class Raising(Scripted):
    """Acts once, then fails."""

    fault: Exception = TimeoutError("of the model's own")

    async def ask(self, messages: Any, **options: Any) -> Any:
        if any(message.type == "ai" for message in messages):
            raise self.fault
        return await super().ask(messages, **options)


@pytest.mark.parametrize(
    "fault",
    [
        TimeoutError("of its own"),
        ModelFailed("500", attempts=5),
        Broken("gone", by_agent=False),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_fault_passes_through_and_what_was_spent_stays_readable(
    machine: Environment, fault: Exception
) -> None:
    model = Raising(replies=[[call("shell", command="true")]])
    object.__setattr__(model, "fault", fault)
    context = Context.start(env=machine, model=model, budget=Budget(seconds=30))
    with pytest.raises(type(fault)):
        await react().run("Go on.", machine, context=context)
    assert context.meter.usage.calls == 1
    assert context.uses["execute"].tool_calls == 1


async def test_the_reference_is_held_to_the_time_too(machine: Environment) -> None:
    async def forever(env: Environment) -> str:
        return (await env.exec(["sleep", "30"])).text

    async def impatient(_: Environment) -> str:
        raise TimeoutError("of its own")

    context = Context.start(env=machine, model=FOREVER, budget=Budget(seconds=0.3))
    episode = await Reference(procedure=forever).run("", machine, context=context)
    assert (episode.stop, episode.limit) == ("limit", "seconds")
    context = Context.start(env=machine, model=FOREVER, budget=Budget(seconds=30))
    with pytest.raises(TimeoutError, match="of its own"):
        await Reference(procedure=impatient).run("", machine, context=context)
