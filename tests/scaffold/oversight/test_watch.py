"""A trial under oversight, on real sandboxes: approved, denied, asked about, held, stepped, ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage

from environments.sandbox import Sandbox
from scaffold import (
    ApproveAll,
    Ask,
    Budget,
    BudgetSpent,
    Context,
    Episode,
    EpisodeEnded,
    Meter,
    Oversight,
    Reference,
    Rule,
    Rules,
    Unattended,
    react,
)
from scaffold.events import Intervened, ToolRan
from scaffold.models.scripted import Scripted, call
from scaffold.oversight import ByFunction, TrialUnknown, abort, allow, ask, deny

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from environments import Environment
    from scaffold import Decision, Supervisor, ToolCall, View
    from scaffold.events import Event

pytestmark = pytest.mark.anyio


@dataclass(kw_only=True)
class Overseen:
    """One trial, and everything it told."""

    context: Context
    desk: Oversight
    env: Environment
    events: list[Event] = field(default_factory=list)

    async def run(self) -> Episode:
        try:
            async with self.context.meter.limited(grace=2.0):
                return await react().run("Go on.", self.context.env, context=self.context)
        except EpisodeEnded as end:
            return self.context.episode(end.stop)

    @property
    def interventions(self) -> list[tuple[str, str, str]]:
        return [(e.what, e.by, e.reason) for e in self.events if isinstance(e, Intervened)]

    @property
    def answers(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, ToolRan)]

    async def until(self, does: str) -> None:
        await self.sees(lambda: [standing.does for standing in self.desk.trials] == [does])

    async def step(self) -> None:
        """Take a step, and wait until the trial stands again."""
        before = len(self.interventions)
        self.desk.step("t")
        await self.sees(lambda: len(self.interventions) > before)
        await self.until("stands")

    @staticmethod
    async def sees(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not what():  # noqa: ASYNC110 - seen from outside, as anybody would
                await asyncio.sleep(0.01)


@asynccontextmanager
async def overseen(
    replies: Any,
    *,
    policy: Supervisor | None = None,
    person: Supervisor | None = None,
    desk: Oversight | None = None,
    **budget: Any,
) -> AsyncIterator[Overseen]:
    desk = desk or Oversight(person=person)
    async with Sandbox().open(label="overseen", seed=0) as lease:
        events: list[Event] = []
        context = Context.start(
            env=lease.agent,
            model=Scripted(replies=replies),
            budget=Budget(**{"seconds": 30, **budget}),
            emit=events.append,
        )
        with desk.over("t", policy=policy or ApproveAll(), meter=context.meter, emit=events.append) as watch:
            context.oversee(watch)
            yield Overseen(context=context, desk=desk, env=lease.agent, events=events)


def shell(*commands: str) -> list[Any]:
    return [call("shell", command=command) for command in commands]


FINISH = [call("finish", summary="done")]


def answering(decide: Callable[[ToolCall, View], Decision]) -> ByFunction:
    async def supervise(asked: ToolCall, view: View) -> Decision:
        return decide(asked, view)

    return ByFunction(function=supervise)


async def test_approving_all_leaves_no_trace() -> None:
    async with overseen([shell("echo hi"), FINISH]) as trial:
        episode = await trial.run()
        assert (episode.stop, trial.interventions) == ("finished", [])
        assert trial.answers[0] == "hi"


async def test_a_denied_call_does_not_run_and_is_answered_with_the_reason() -> None:
    rules = Rules(rules=(Rule(decision="deny", match="touch", reason="nothing is made here"),))
    async with overseen([shell("touch made; echo ran"), shell("ls"), FINISH], policy=rules) as trial:
        episode = await trial.run()
        assert episode.stop == "finished"
        assert "made" not in trial.answers[1]
        told = trial.answers[0]
        assert told == "The call was not run: it was not approved: nothing is made here"
        assert trial.interventions == [("denied", "rule", "nothing is made here")]
        assert trial.context.watch is not None
        assert trial.context.watch.helped


async def test_an_abort_ends_the_episode_before_the_call() -> None:
    policy = answering(lambda asked, _: abort("enough") if "two" in str(asked.arguments) else allow())
    async with overseen(
        [shell("touch one"), shell("touch two"), shell("touch three")], policy=policy
    ) as trial:
        episode = await trial.run()
        assert (episode.stop, episode.steps) == ("aborted", 2)
        assert (await trial.env.exec(["ls"])).text.split() == ["one"]
        assert trial.interventions == [("allowed", "function", ""), ("aborted", "function", "enough")]


async def test_a_person_is_shown_the_call_and_its_place() -> None:
    seen: list[tuple[str, int, str, int]] = []

    async def person(asked: ToolCall, view: View) -> Decision:
        seen.append((asked.name, view.step, view.faculty, len(view.messages)))
        return allow(by="person")

    async with overseen([shell("true"), FINISH], policy=Ask(), person=person) as trial:
        await trial.run()
        assert seen == [("shell", 1, "execute", 3)]
        assert trial.interventions == [("allowed", "person", "")]
        assert trial.context.watch is not None
        assert not trial.context.watch.helped  # looking on is no help


@pytest.mark.parametrize(("reach", "asked"), [("call", 4), ("step", 2), ("rest", 1)])
async def test_an_approval_holds_for_what_it_says(reach: Any, asked: int) -> None:
    questions = []

    async def person(question: ToolCall, _view: View) -> Decision:
        questions.append(question)
        return allow(by="person", reach=reach)

    async with overseen(
        [shell("true", "true"), shell("true", "true"), FINISH], policy=Ask(), person=person
    ) as trial:
        assert (await trial.run()).stop == "finished"
        assert len(questions) == asked


async def test_stepping_asks_once_a_step() -> None:
    questions = []

    async def person(question: ToolCall, _view: View) -> Decision:
        questions.append(question)
        return allow(by="person")

    replies = [shell("true", "true"), shell("true", "true"), FINISH]
    async with overseen(replies, policy=Ask(each="step"), person=person) as trial:
        await trial.run()
        assert len(questions) == 2


async def test_without_a_person_a_question_is_a_fault_and_never_a_yes() -> None:
    async with overseen([shell("touch made"), FINISH], policy=answering(lambda *_: ask())) as trial:
        with pytest.raises(Unattended, match="a call of shell to a person, and none is there"):
            await trial.run()
        assert (await trial.env.exec(["ls"])).text == ""


async def test_an_answer_that_is_no_decision_is_a_fault_and_never_a_yes() -> None:
    policy = answering(lambda *_: True)  # type: ignore[arg-type]
    async with overseen([shell("touch made"), FINISH], policy=policy) as trial:
        with pytest.raises(TypeError, match="not a Decision"):
            await trial.run()
        assert (await trial.env.exec(["ls"])).text == ""


async def test_the_clock_stands_still_while_somebody_is_asked() -> None:
    async def slow(_asked: ToolCall, _view: View) -> Decision:
        await asyncio.sleep(2.0)
        return deny("no", by="person")

    async with overseen([shell("true"), FINISH], policy=Ask(), person=slow, seconds=1.5) as trial:
        episode = await trial.run()
        assert episode.stop == "finished"
        assert trial.context.meter.stood >= 2.0
        assert trial.context.meter.seconds < 1.5


async def test_a_paused_trial_does_nothing_until_it_is_continued() -> None:
    replies = [shell("echo > 1"), shell("echo > 2"), FINISH]
    async with overseen(replies, seconds=3.0) as trial:
        trial.desk.pause(reason="a look")
        running = asyncio.ensure_future(trial.run())
        await trial.until("stands")
        before = trial.context.meter.seconds
        await asyncio.sleep(3.2)  # longer than its whole budget
        assert (await trial.env.exec(["ls"])).text == ""
        assert trial.context.meter.steps == 0
        assert trial.context.meter.seconds == before
        assert trial.desk.resume() == ("t",)
        assert (await running).stop == "finished"
        assert trial.interventions == [("paused", "person", "a look")]
        assert trial.context.watch is not None
        assert not trial.context.watch.helped


async def test_a_step_is_one_request_and_its_calls() -> None:
    replies = [shell("echo > 1", "echo > 2"), shell("echo > 3"), FINISH]
    async with overseen(replies) as trial:
        trial.desk.pause()
        running = asyncio.ensure_future(trial.run())
        for expected in ("1\n2\n", "1\n2\n3\n"):
            await trial.until("stands")
            await trial.step()
            assert (await trial.env.exec(["ls"])).text == expected
        trial.desk.resume("t")
        assert (await running).stop == "finished"
        assert [what for what, *_ in trial.interventions] == ["stepped", "stepped", "paused"]


async def test_a_pause_waits_for_what_is_under_way_and_holds_what_follows() -> None:
    async with overseen([shell("sleep 0.5; echo > 1"), shell("echo > 2"), FINISH]) as trial:
        running = asyncio.ensure_future(trial.run())
        await trial.sees(lambda: trial.context.meter.steps == 1)
        trial.desk.pause()
        await trial.until("stands")
        await trial.step()
        assert (await trial.env.exec(["ls"])).text in {"1\n", "1\n2\n"}
        trial.desk.resume()
        assert (await running).stop == "finished"


async def test_an_abort_ends_a_command_that_runs() -> None:
    async with overseen([shell("sleep 60")]) as trial:
        running = asyncio.ensure_future(trial.run())
        await trial.sees(lambda: trial.context.meter.steps == 1)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        trial.desk.abort("t", reason="it sleeps")
        with pytest.raises(TimeoutError):
            await running
        assert time.monotonic() - began < 10
        assert trial.context.watch is not None
        assert trial.context.watch.ended == "aborted"
        assert trial.interventions == [("aborted", "person", "it sleeps")]
        with pytest.raises(EpisodeEnded):  # nothing can be begun any more
            await trial.context.env.exec(["true"])


async def test_an_abort_ends_a_wait() -> None:
    async with overseen([shell("true")]) as trial:
        trial.desk.pause("t")
        running = asyncio.ensure_future(trial.run())
        await trial.until("stands")
        trial.desk.abort("t")
        with pytest.raises(TimeoutError):
            await running


async def test_a_scaffold_that_acts_by_itself_is_held_too() -> None:
    async def procedure(env: Environment, /) -> str:
        return (await env.exec(["echo", "acted"])).text

    async with overseen([]) as trial:
        trial.desk.pause()
        scaffold = Reference(procedure=procedure)
        running = asyncio.ensure_future(scaffold.run("", trial.context.env, context=trial.context))
        await trial.until("stands")
        assert not running.done()
        trial.desk.resume()
        assert (await running).submission == "acted\n"


async def test_a_paused_trial_asks_nothing_by_whichever_way_a_call_comes() -> None:
    async with overseen(["fine"]) as trial:
        trial.desk.pause()
        asking = asyncio.ensure_future(trial.context.key.ask([HumanMessage(content="hello")], by="agent"))
        await trial.until("stands")
        assert trial.context.meter.steps == 0
        trial.desk.resume()
        assert (await asking).text == "fine"
        assert trial.context.meter.steps == 1


async def test_trials_that_come_while_a_study_is_paused_wait_too() -> None:
    desk = Oversight()
    assert desk.pause() == ()
    async with overseen([FINISH], desk=desk) as trial:
        running = asyncio.ensure_future(trial.run())
        await trial.until("stands")
        assert desk.resume() == ("t",)
        assert (await running).stop == "finished"


async def test_an_unknown_trial_is_named_with_its_neighbour() -> None:
    async with overseen([FINISH]) as trial:
        with pytest.raises(TrialUnknown, match="did you mean 't'"):
            trial.desk.abort("tt")


async def test_calls_of_one_trial_are_asked_about_one_after_the_other() -> None:
    at_once = 0

    async def person(_asked: ToolCall, _view: View) -> Decision:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await asyncio.sleep(0.05)
        at_once -= 1
        return allow(by="person")

    several = [call("shell", command="true"), call("list_processes"), call("list_directory", path=".")]
    async with overseen([several, FINISH], policy=Ask(), person=person) as trial:
        assert (await trial.run()).stop == "finished"
        assert len(trial.interventions) == 3


async def test_a_meter_that_stands_still_moves_its_deadlines() -> None:
    meter = Meter(Budget(seconds=0.3))
    async with meter.running():
        with meter.standing_still(), meter.standing_still():
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.1)
    with pytest.raises(BudgetSpent, match="seconds"):
        async with meter.running():
            await asyncio.sleep(5)
    assert 0.3 <= meter.seconds < 3


async def test_a_limit_entered_while_the_clock_stands_begins_when_it_goes_on() -> None:
    meter = Meter(Budget(seconds=0.2))

    async def work() -> None:
        async with meter.limited():
            with meter.standing_still():
                async with meter.limited():
                    await asyncio.sleep(0.4)
            await asyncio.sleep(5)

    with pytest.raises(TimeoutError):
        await work()
    assert 0.4 <= meter.stood < 3
