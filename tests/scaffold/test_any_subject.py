"""What holds of a trial whatever the subject answers, with tools that need no machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage
from pydantic import BaseModel

from environments import Broken
from scaffold import (
    Budget,
    Context,
    Execute,
    Explore,
    FacultyScaffold,
    FunctionTool,
    Plan,
    Repair,
    Reply,
    State,
    ToolCall,
    ToolOutcome,
    Update,
    Usage,
    react,
)
from scaffold.events import FacultyEntered, as_fields
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

    from environments import Environment, ExecResult
    from scaffold import Episode, Model
    from scaffold.events import Event
    from scaffold.protocols import ToolGroup


class Say(BaseModel):
    """What a tool here answers, and whether as a failure."""

    text: str = "fine"
    fail: bool = False


async def say(arguments: Say, _: Environment) -> ToolOutcome:
    return ToolOutcome(text=arguments.text, failed=arguments.fail)


def saying(name: str, group: ToolGroup) -> FunctionTool[Say]:
    return FunctionTool(name=name, group=group, description=f"{name}.", arguments=Say, function=say)


TOOLS = (saying("sh", "shell"), saying("note", "file"), saying("ps", "process"), saying("dial", "network"))
LOOP = FacultyScaffold(name="loop", explore=None, plan=None, repair=None, tools=TOOLS)


class Nowhere:
    """A machine that no tool here touches."""

    name = "nowhere"
    home = PurePosixPath("/")

    async def exec(self, *_: object, **__: object) -> ExecResult:
        raise Broken("there is no machine", by_agent=False)

    async def read(self, path: PurePosixPath) -> bytes:
        raise Broken(f"there is no {path}", by_agent=False)

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        raise Broken(f"there is no {path} for {len(data)} bytes", by_agent=False)


@dataclass(kw_only=True)
class Verbatim:
    """A connected subject that gives exactly these replies."""

    replies: list[Reply]

    async def ask(self, *_: object, **__: object) -> Reply:
        return self.replies.pop(0)


def asking(*calls: ToolCall) -> Reply:
    asked = [{"id": c.id, "name": c.name, "args": dict(c.arguments)} for c in calls]
    return Reply(message=AIMessage(content="", tool_calls=asked), text="", calls=calls, usage=Usage(calls=1))


@dataclass(kw_only=True)
class Overheard:
    """Passes requests on to a subject, and keeps a copy of each."""

    model: Model
    requests: list[list[BaseMessage]] = field(default_factory=list)
    tools: list[object] = field(default_factory=list)

    async def ask(self, messages: Sequence[BaseMessage], **options: Any) -> Reply:
        self.requests.append(list(messages))
        self.tools.append(options["tools"])
        return await self.model.ask(messages, **options)


@dataclass(frozen=True, kw_only=True)
class Played:
    episode: Episode
    context: Context
    events: list[Event]
    heard: Overheard

    @property
    def entered(self) -> list[str]:
        return [event.faculty for event in self.events if isinstance(event, FacultyEntered)]

    @property
    def answers(self) -> list[str]:
        return [m.text for m in self.context.conversation.messages if isinstance(m, ToolMessage)]


async def play(scaffold: FacultyScaffold, model: Model, *, budget: Budget | None = None) -> Played:
    heard = Overheard(model=model)
    events: list[Event] = []
    machine = Nowhere()
    context = Context.start(env=machine, model=heard, budget=budget or Budget(), emit=events.append)
    episode = await scaffold.run("Make it so.", machine, context=context)
    return Played(episode=episode, context=context, events=events, heard=heard)


calls: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.tuples(
    st.sampled_from(("sh", "note", "ps", "dial", "absent", "finish")),
    st.sampled_from(({}, {"fail": True}, {"text": 3}, {"summary": "s"}, {"summary": [1]})),
)
scripts = st.lists(
    st.one_of(
        st.sampled_from(("", "words", "REPLAN", "I cannot help with that.")),
        st.lists(calls, min_size=1, max_size=4),
    ),
    max_size=14,
)
parts = st.fixed_dictionaries(
    {
        "explore": st.sampled_from((None, Explore(turns=2))),
        "plan": st.sampled_from((None, Plan())),
        "execute": st.sampled_from((None, Execute())),
        "repair": st.sampled_from((None, Repair(), Repair(turns=1, after=2))),
    }
).filter(lambda given: any(given[name] for name in ("explore", "plan", "execute")))


@settings(max_examples=80, deadline=None)
@given(parts, scripts)
def test_the_trial_ends_and_the_conversation_is_well_formed(
    faculties: dict[str, Any], script: list[Any]
) -> None:
    scaffold = FacultyScaffold(tools=TOOLS, **faculties)
    played = asyncio.run(play(scaffold, Scripted(replies=script), budget=Budget(steps=12)))
    assert played.episode.stop in {"finished", "stalled", "refused", "limit"}
    assert played.episode.steps <= 12
    assert set(played.entered) <= {name for name, faculty in faculties.items() if faculty is not None}
    assert all(before == "execute" for before, after in pairwise(played.entered) if after == "repair")
    use = played.episode.faculties.values()
    assert sum(u.tokens for u in use) == played.episode.usage.tokens
    assert sum(u.turns for u in use) == played.episode.steps
    requests = played.heard.requests
    for before, after in pairwise(requests):
        assert after[: len(before)] == before
        assert len(after) > len(before)
    assert len({id(tools) for tools in played.heard.tools}) <= 1
    for request in requests:
        asked = [c["id"] for message in request for c in getattr(message, "tool_calls", ())]
        assert asked == [message.tool_call_id for message in request if isinstance(message, ToolMessage)]


@pytest.mark.anyio
async def test_calls_that_repeat_an_id_are_told_apart() -> None:
    twins = [ToolCall(id="same", name="sh", arguments={"text": text}) for text in ("one", "two")]
    end = asking(ToolCall(id="end", name="finish", arguments={}))
    played = await play(LOOP, Verbatim(replies=[asking(*twins), end]))
    assert played.answers[:2] == ["one", "two"]


@pytest.mark.anyio
async def test_a_call_that_could_not_be_read_is_told_so_and_leads_to_repair() -> None:
    garbled = ToolCall(id="1", name="sh", arguments={}, problem="its arguments are not JSON")
    no_end = ToolCall(id="2", name="finish", arguments={}, problem="its arguments are not JSON")
    end = asking(ToolCall(id="3", name="finish", arguments={}))
    scaffold = FacultyScaffold(explore=None, plan=None, tools=TOOLS)
    played = await play(scaffold, Verbatim(replies=[asking(garbled, no_end), end]))
    assert played.answers[:2] == ["The call was not run: its arguments are not JSON"] * 2
    assert played.entered == ["execute", "repair"]


@pytest.mark.anyio
async def test_a_plan_turn_runs_no_tool_whatever_the_subject_asks() -> None:
    script = Scripted(replies=[[call("sh", text="ran")], [call("finish", summary="Done.")]])
    played = await play(FacultyScaffold(explore=None, tools=TOOLS), script)
    assert played.entered == ["plan", "execute"]
    assert played.answers[0] == "The call was not run: no tools now."


@pytest.mark.anyio
async def test_finish_ends_a_faculty_that_does_not_look_for_it() -> None:
    async def own(_: State, context: Context) -> Update:
        await context.turn("execute")
        return Update()

    scaffold = FacultyScaffold(explore=None, plan=None, repair=None, execute=own, tools=TOOLS)
    script = Scripted(replies=[[call("sh")], [call("finish", summary="Done.")], [call("sh")]])
    episode = (await play(scaffold, script)).episode
    assert (episode.stop, episode.submission, episode.steps) == ("finished", "Done.", 2)


@pytest.mark.anyio
@pytest.mark.parametrize("budget", [Budget(money=0.05), Budget(tokens=50)], ids=["money", "tokens"])
async def test_what_a_call_cost_counts_before_the_next(budget: Budget) -> None:
    cost = Usage(calls=1, prompt_tokens=8, completion_tokens=2, money=0.01)
    acting = asking(ToolCall(id="1", name="sh", arguments={}))
    replies = [Reply(message=acting.message, text="", calls=acting.calls, usage=cost) for _ in range(9)]
    episode = (await play(LOOP, Verbatim(replies=replies), budget=budget)).episode
    assert episode.stop == "limit"
    assert episode.steps == 5
    assert episode.limit == ("money" if budget.money else "tokens")


@pytest.mark.anyio
async def test_a_late_step_is_recorded_in_as_many_bytes_as_an_early_one() -> None:
    played = await play(LOOP, Scripted(replies=[[call("sh")]] * 300), budget=Budget(steps=300))
    sizes: dict[int, int] = {}
    for event in played.events:
        line = orjson.dumps({"kind": event.kind, **as_fields(event)})
        sizes[event.step] = sizes.get(event.step, 0) + len(line)
    assert played.episode.steps == 300
    assert sizes[300] <= sizes[10] + 80  # longer numbers, and the word that the budget is spent


def test_the_plain_loop_neither_plans_nor_explores_nor_repairs() -> None:
    assert {"explore", "plan", "repair"}.isdisjoint(react().compile().get_graph().nodes)
