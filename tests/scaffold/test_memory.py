"""Conversations that outgrow a window, against a real server that refuses what does not fit."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ToolMessage
from pydantic import BaseModel
from windowed_server import answering, serving_window, simulating, words

from environments import Broken
from environments.sandbox import Sandbox
from scaffold import (
    Budget,
    Context,
    ContextFull,
    Decision,
    Episode,
    FacultyScaffold,
    FunctionTool,
    Memory,
    Oversight,
    Plan,
    Reply,
    State,
    ToolCall,
    ToolOutcome,
    Update,
    Usage,
    conversation_at,
)
from scaffold.events import Asked, Compacted, FacultyEntered, Replied, as_fields
from scaffold.models import PROFILES, OpenAISubject, Sampling, TextToolsSubject
from scaffold.oversight import ByFunction, allow, deny
from scaffold.retelling import Retelling, digest_of
from scenarios import lay_out
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from langchain_core.messages import BaseMessage
    from windowed_server import WindowedServer

    from environments import Environment, ExecResult
    from scaffold import Model, Subject
    from scaffold.events import Event
    from scaffold.protocols import ToolGroup

pytestmark = pytest.mark.anyio


class Say(BaseModel):
    text: str = "fine"
    times: int = 1


async def say(arguments: Say, _: Environment) -> ToolOutcome:
    return ToolOutcome(text=arguments.text * arguments.times)


def saying(name: str, group: ToolGroup) -> FunctionTool[Say]:
    return FunctionTool(name=name, group=group, description=f"{name}.", arguments=Say, function=say)


TOOLS = (saying("sh", "shell"), saying("note", "file"), saying("dial", "network"))
LOOP = FacultyScaffold(name="loop", explore=None, plan=None, repair=None, tools=TOOLS)


class Nowhere:
    name = "nowhere"
    home = PurePosixPath("/")

    async def exec(self, *_: object, **__: object) -> ExecResult:
        raise Broken("there is no machine", by_agent=False)

    async def read(self, path: PurePosixPath) -> bytes:
        raise Broken(f"there is no {path}", by_agent=False)

    async def write(self, path: PurePosixPath, data: bytes) -> None:
        raise Broken(f"there is no {path} for {len(data)} bytes", by_agent=False)


@dataclass(frozen=True, kw_only=True)
class Played:
    episode: Episode
    events: list[Event]
    requests: list[list[BaseMessage]]
    """As the scaffold asked, before any translation."""

    @property
    def compacted(self) -> list[Compacted]:
        return [event for event in self.events if isinstance(event, Compacted)]

    @property
    def log(self) -> list[dict[str, Any]]:
        return [{"kind": event.kind, **as_fields(event)} for event in self.events]

    @property
    def asked(self) -> list[Asked]:
        return [event for event in self.events if isinstance(event, Asked)]


class Overheard:
    """Passes requests on, and keeps a copy of each."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.gauge = getattr(model, "gauge", None)
        self.requests: list[list[BaseMessage]] = []

    async def ask(self, messages: Sequence[BaseMessage], **options: Any) -> Reply:
        self.requests.append(list(messages))
        reply: Reply = await self.model.ask(messages, **options)
        return reply


async def play(
    scaffold: FacultyScaffold,
    model: Model,
    *,
    machine: Environment | None = None,
    budget: Budget | None = None,
    instruction: str = "Make it so.",
    seed: int = 1,
    policy: Any = None,
) -> Played:
    heard, events = Overheard(model), list[Any]()
    env = machine or Nowhere()
    context = Context.start(env=env, model=heard, budget=budget or Budget(), emit=events.append, seed=seed)
    if policy is not None:
        desk = Oversight()
        with desk.over("t", policy=policy, meter=context.meter, emit=events.append) as watch:
            context.oversee(watch)
            episode = await scaffold.run(instruction, context.env, context=context)
    else:
        episode = await scaffold.run(instruction, env, context=context)
    return Played(episode=episode, events=events, requests=heard.requests)


@asynccontextmanager
async def connected(server: WindowedServer, **settings: Any) -> AsyncIterator[Model]:
    async with OpenAISubject(model="m", base_url=server.url, **settings).connect() as model:
        yield model


def told(messages: Sequence[BaseMessage]) -> list[Any]:
    """What a conversation says."""
    return [
        [m.type, m.text, [c["id"] for c in getattr(m, "tool_calls", ())], getattr(m, "tool_call_id", None)]
        for m in messages
    ]


def check(played: Played) -> None:
    """What holds of every trial: whole exchanges, prefixes, and a record that everything is rebuilt from."""
    for request in played.requests:
        calls = [call["id"] for message in request for call in getattr(message, "tool_calls", ())]
        assert calls == [m.tool_call_id for m in request if isinstance(m, ToolMessage)]
        assert [m.type for m in request[:2]] == ["system", "human"]
    for (asked, before), (after_asked, after) in pairwise(zip(played.asked, played.requests, strict=True)):
        if asked.beside is not None and asked.step in {event.step for event in played.compacted}:
            assert after[:2] == before[:2]
        else:
            same = min(
                len(before) if asked.beside is None else asked.beside, after_asked.beside or len(after)
            )
            assert after[:same] == before[:same]
            assert len(after) > same
    check_record(played)


def check_record(played: Played) -> None:
    telling, requests = Retelling(), iter(played.requests)
    for event in played.log:
        if event["kind"] == "compacted":
            telling._settle()
            dropped = telling.messages[event["head"] : event["head"] + event["dropped"]]
            assert digest_of(dropped) == event["digest"]
            assert len(telling.messages) == event["head"] + event["dropped"] + event["kept"]
        telling.take(event)
        if event["kind"] == "asked":
            assert told(telling.sent) == told(next(requests))
    assert next(requests, None) is None


def acting(request: dict[str, Any]) -> dict[str, Any]:
    """Two calls of two groups each time, and a note where one is asked for."""
    if request["messages"][-1]["content"].startswith("# Memory"):
        return {"role": "assistant", "content": f"So far: {len(request['messages'])} messages."}
    number = len(request["messages"])
    return {
        "role": "assistant",
        "content": f"Step {number}.",
        "tool_calls": [
            {
                "id": f"c{number}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps({"text": f"said {number} ", "times": 9})},
            }
            for index, name in enumerate(("note", "sh"))
        ],
    }


async def test_a_thousand_steps_go_on_within_a_window_and_each_costs_the_same() -> None:
    async with (
        serving_window(answering(acting), window=4000) as server,
        connected(server) as model,
    ):
        convert, converted = model.chat.writer._convert, list[int]()  # type: ignore[attr-defined]

        def counting(message: Any) -> Any:
            converted[-1] += 1
            return convert(message)

        class Stepping:
            gauge = model.gauge  # type: ignore[attr-defined]

            async def ask(self, messages: Sequence[BaseMessage], **options: Any) -> Reply:
                reply = await model.ask(messages, **options)
                converted.append(0)
                return reply

        converted.append(0)
        model.chat.writer._convert = counting  # type: ignore[attr-defined]
        played = await play(LOOP, Stepping(), budget=Budget(steps=1000, seconds=120))
    assert (played.episode.stop, played.episode.limit, played.episode.steps) == ("limit", "steps", 1000)
    assert server.refused == 0
    assert len(server.requests) == 1000
    assert 10 < len(played.compacted) < 60
    check(played)
    # What was sent is never written again: three messages a step, and at a new beginning the beginning.
    assert max(converted) <= 8
    assert sum(converted) < 3.2 * 1000
    sizes: dict[int, int] = {}
    for event in played.events:
        if not isinstance(event, Compacted):
            step = getattr(event, "step", 0)
            sizes[step] = sizes.get(step, 0) + len(orjson.dumps(as_fields(event)))
    assert max(sizes.values()) < 2.5 * sizes[5]
    # It is asked how long a request is only where that decides something.
    assert server.listed == 1
    assert server.tokenized < 4 * len(played.compacted) + 4
    use = played.episode.faculties["memory"]
    assert use.turns == use.entered == len(played.compacted)
    assert use.tool_calls == 0


@pytest.mark.parametrize("owned_by", ["vllm", "somebody"])
@pytest.mark.parametrize("longest", [None, 700])
async def test_the_server_never_has_to_refuse(owned_by: str, longest: int | None) -> None:
    def varied(request: dict[str, Any]) -> dict[str, Any]:
        answer, number = acting(request), len(request["messages"])
        for index, call in enumerate(answer.get("tool_calls", ())):
            text = ("ab " if number % 3 else "x=1;{}") * (1 + number * 7 % 40)
            call["function"]["arguments"] = json.dumps({"text": text, "times": 1 + (number + index) % 9})
        return answer

    sampling = Sampling(max_tokens=longest)
    async with (
        serving_window(answering(varied), window=6000, owned_by=owned_by) as server,
        connected(server, sampling=sampling) as model,
    ):
        with_memory = await play(LOOP, model, budget=Budget(steps=120))
        without = await play(replace(LOOP, memory=None), model, budget=Budget(steps=120))
    assert server.refused == 0
    assert (with_memory.episode.limit, with_memory.episode.steps) == ("steps", 120)
    assert with_memory.compacted
    assert (without.episode.stop, without.episode.limit) == ("limit", "context")
    assert without.episode.steps < 60
    assert "memory" not in without.episode.faculties
    for played in (with_memory, without):
        check(played)


async def test_an_outcome_that_leaves_no_room_for_a_question_follows_the_note_as_it_was() -> None:
    def sudden(request: dict[str, Any]) -> dict[str, Any]:
        answer = acting(request)
        if len(request["messages"]) == 9:
            answer["tool_calls"][0]["function"]["arguments"] = json.dumps({"text": "long ", "times": 2560})
        return answer

    async with serving_window(answering(sudden), window=4000) as server, connected(server) as model:
        played = await play(LOOP, model, budget=Budget(steps=12))
    assert server.refused == 0
    assert played.episode.limit == "steps"
    first = played.compacted[0]
    assert (first.kept, first.dropped) == (3, 7)
    check(played)
    begun = conversation_at(played.log, first.step + 1)
    assert begun[2].text.startswith("# Note\n")
    assert [m.type for m in begun[3:]] == ["ai", "tool", "tool", "human"]
    assert begun[4].text == "long " * 2560


async def test_what_fits_no_window_ends_the_trial_and_asks_nothing_more() -> None:
    def too_much(request: dict[str, Any]) -> dict[str, Any]:
        answer = acting(request)
        if len(request["messages"]) > 5 and "tool_calls" in answer:
            answer["tool_calls"][0]["function"]["arguments"] = json.dumps({"text": "long ", "times": 9000})
        return answer

    async with serving_window(answering(too_much), window=4000) as server, connected(server) as model:
        played = await play(LOOP, model, budget=Budget(steps=12))
    assert server.refused == 0
    assert (played.episode.stop, played.episode.limit) == ("limit", "context")
    assert len(server.requests) == played.episode.steps <= 4


async def test_a_first_request_that_does_not_fit_is_the_set_ups_fault_and_is_not_sent() -> None:
    async with serving_window(answering(acting), window=400) as server, connected(server) as model:
        with pytest.raises(
            ContextFull, match=r"counted by server.*the server says that the subject takes 400"
        ):
            await play(LOOP, model)
    assert (server.refused, server.requests) == (0, [])


async def test_the_last_exchanges_are_kept_where_it_is_asked_for() -> None:
    scaffold = replace(LOOP, memory=Memory(tokens=700, keep=2))
    async with serving_window(answering(acting), window=100_000) as server, connected(server) as model:
        played = await play(scaffold, model, budget=Budget(steps=40))
    assert len(played.compacted) > 1
    assert {event.kept for event in played.compacted} == {6}
    check(played)
    for event in played.compacted:
        begun = conversation_at(played.log, event.step + 1)
        assert [m.type for m in begun] == ["system", "human", "human", *["ai", "tool", "tool"] * 2, "human"]
        assert begun[-1].text.startswith("# Execute")


async def test_a_subject_that_writes_no_note_keeps_its_conversation() -> None:
    def silent(request: dict[str, Any]) -> dict[str, Any]:
        answer = acting(request)
        return answer if answer.get("tool_calls") else {"role": "assistant", "content": " "}

    async with serving_window(answering(silent), window=4000) as server, connected(server) as model:
        played = await play(LOOP, model, budget=Budget(steps=200))
    assert played.compacted == []
    assert (played.episode.limit, server.refused) == ("context", 0)
    assert played.episode.faculties["memory"].turns > 0


async def test_memory_of_ones_own_takes_its_place_and_others_may_hand_over_to_it() -> None:
    async def forget(_: State, context: Context) -> Update:
        await context.begin_anew("memory", "Forget it.", upto=len(context.conversation.messages))
        return Update()

    async def handing(_: State, context: Context) -> Update:
        await context.turn("execute")
        return Update(hand_over="memory" if context.conversation.replies == 3 else None)

    scaffold = replace(LOOP, memory=forget, execute=handing)
    async with serving_window(answering(acting), window=100_000) as server, connected(server) as model:
        played = await play(scaffold, model, budget=Budget(steps=10))
    assert [event.step for event in played.compacted] == [3, 6, 9]
    assert played.requests[3][2].text == "Forget it."
    assert server.requests[3]["messages"][2] == {"role": "user", "content": "Forget it."}


async def test_phases_go_on_where_they_were() -> None:
    """Turns are counted on, the prompt is said again, and nobody else gets the turn."""

    def looking(request: dict[str, Any]) -> dict[str, Any]:
        return acting(request)

    scaffold = FacultyScaffold(tools=TOOLS, plan=Plan(), memory=Memory(tokens=900))
    async with serving_window(answering(looking), window=100_000) as server, connected(server) as model:
        played = await play(scaffold, model, budget=Budget(steps=14))
    entered = [event.faculty for event in played.events if isinstance(event, FacultyEntered)]
    assert played.episode.faculties["explore"].turns == 8
    assert entered[:3] == ["explore", "memory", "explore"]
    before_plan = entered[: entered.index("plan")]
    assert set(before_plan) == {"explore", "memory"}
    assert played.requests[[a.step for a in played.asked].index(played.compacted[0].step) + 1][
        -1
    ].text.startswith("# Explore")
    assert server.refused == 0


async def test_a_supervisor_sees_the_conversation_that_the_subject_sees() -> None:
    seen: list[tuple[int, str, int]] = []

    async def policy(call: ToolCall, view: Any) -> Decision:
        seen.append((view.step, view.messages[2].text, len(view.messages)))
        return deny("no") if call.name == "sh" else allow()

    async with serving_window(answering(acting), window=3000) as server, connected(server) as model:
        played = await play(LOOP, model, budget=Budget(steps=60), policy=ByFunction(function=policy))
    assert played.compacted
    check(played)
    first = played.compacted[0].step
    assert all(text.startswith("# Execute") for step, text, _ in seen if step < first)
    assert all(text.startswith("# Note") for step, text, _ in seen if step > first)
    assert server.refused == 0


@pytest.mark.parametrize("way", ["native", "text"])
@pytest.mark.parametrize("keep", [0, 2])
async def test_a_trial_in_a_sandbox_ends_as_if_there_were_no_window(way: str, keep: int) -> None:
    """The simulated subject reads its notes: it decides the same, step for step, in a window too small."""
    scenario = CATALOGUE["broken-build"]

    async def trial(window: int, memory: Memory | None) -> tuple[Played, WindowedServer]:
        async with (
            Sandbox().open(label="memory", seed=1) as lease,
            serving_window(simulating(PROFILES["capable"]), window=window) as server,
        ):
            await lay_out(scenario, lease.control, 1)
            subject: Subject = OpenAISubject(model="m", base_url=server.url)
            subject = TextToolsSubject(subject=subject) if way == "text" else subject
            async with subject.connect() as model:
                played = await play(
                    FacultyScaffold(memory=memory),
                    model,
                    machine=lease.agent,
                    budget=Budget(steps=60),
                    instruction=scenario.instruction,
                )
            assert server.refused == 0
            return played, server

    free, _ = await trial(1_000_000, Memory())
    largest = max(event.prompt_tokens for event in free.events if isinstance(event, Replied))
    window = int(1.06 * largest)  # an eighth of it is left for the answer
    ended, _ = await trial(window, None)
    went_on, server = await trial(window, Memory(keep=keep))
    assert (ended.episode.stop, ended.episode.limit) == ("limit", "context")
    assert free.compacted == []
    assert len(went_on.compacted) >= 1
    check(went_on)

    def did(played: Played) -> list[str]:
        """What it set about, step by step; names and numbers differ from world to world."""
        said = [
            event.text for event in played.events if isinstance(event, Replied) and event.faculty != "memory"
        ]
        return [" ".join(text.split()[:2]) for text in said]

    assert did(went_on) == did(free)
    assert went_on.episode.stop == free.episode.stop == "finished"
    assert went_on.episode.steps == free.episode.steps + len(went_on.compacted)
    assert max(map(words, server.requests)) < window


scripts = st.lists(
    st.one_of(
        st.sampled_from(("", "words", "REPLAN")),
        st.lists(
            st.tuples(st.sampled_from(("sh", "note", "dial", "absent")), st.integers(0, 400)),
            min_size=1,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=30,
)


class Improvising:
    """A connected subject without a gauge, which reports as many tokens as there are words and a bit."""

    def __init__(self, script: list[Any]) -> None:
        self.script = script
        self.spoken = 0

    async def ask(self, messages: Sequence[BaseMessage], **options: Any) -> Reply:
        usage = Usage(calls=1, prompt_tokens=sum(5 + len(str(m.content)) // 3 for m in messages))
        self.spoken += 1
        line = self.script[self.spoken % len(self.script)]
        if messages[-1].text.startswith("# Memory"):
            assert options["tool_choice"] == "none"
            line = "a note" if line == "" or isinstance(line, list) else line
        if isinstance(line, str):
            return Reply(message=AIMessage(content=line), text=line, calls=(), usage=usage)
        calls = tuple(
            ToolCall(id=f"c{self.spoken}_{index}", name=name, arguments={"times": times})
            for index, (name, times) in enumerate(line)
        )
        asked = [{"id": c.id, "name": c.name, "args": dict(c.arguments)} for c in calls]
        return Reply(message=AIMessage(content="", tool_calls=asked), text="", calls=calls, usage=usage)


@settings(max_examples=40, deadline=None)
@given(
    scripts, st.integers(400, 3000), st.integers(0, 3), st.sampled_from([LOOP, FacultyScaffold(tools=TOOLS)])
)
def test_whatever_the_subject_says_no_exchange_is_torn_and_everything_can_be_rebuilt(
    script: list[Any], tokens: int, keep: int, base: FacultyScaffold
) -> None:
    scaffold = replace(base, memory=Memory(tokens=tokens, keep=keep))
    played = asyncio.run(play(scaffold, Improvising(script), budget=Budget(steps=40)))
    check(played)
    use = played.episode.faculties
    assert sum(u.turns for u in use.values()) == played.episode.steps
    assert sum(u.tokens for u in use.values()) == played.episode.usage.tokens


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in ({"share": 0.0}, {"share": 1.5}, {"tokens": 0}, {"keep": -1}):
        with pytest.raises(ValueError, match="memory"):
            Memory(**wrong)
