"""The state machine, played by a scripted subject on a real machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from langchain_core.messages import BaseMessage, ToolMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime  # noqa: TC002  LangGraph reads the annotations of nodes at run time
from pydantic import BaseModel

from scaffold import (
    DEFAULT_TOOLS,
    Budget,
    Context,
    Episode,
    Execute,
    Explore,
    FacultyScaffold,
    FacultyUse,
    FunctionTool,
    GraphScaffold,
    Nothing,
    Reference,
    Repair,
    Scaffold,
    ScaffoldStuck,
    State,
    ToolOutcome,
    Update,
    react,
)
from scaffold.bench import Bench
from scaffold.events import Asked, FacultyEntered, Replied, ToolRan, as_fields
from scaffold.models.scripted import Scripted, call
from scaffold.prompts import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from environments import Environment
    from scaffold.events import Event
    from scaffold.protocols import Model, Tool

pytestmark = pytest.mark.anyio

LOOK = [call("list_directory", path=".")]
WORK = [call("shell", command="echo worked")]
FAIL = [call("shell", command="exit 3")]
DONE = [call("finish", summary="all done")]
ALONE = FacultyScaffold(name="alone", explore=None, plan=None, repair=None)


@dataclass(frozen=True, kw_only=True)
class Played:
    episode: Episode
    events: list[Event]
    context: Context

    @property
    def phases(self) -> list[str]:
        return [event.faculty for event in self.events if isinstance(event, FacultyEntered)]

    @property
    def ran(self) -> list[ToolRan]:
        return [event for event in self.events if isinstance(event, ToolRan)]

    @property
    def answers(self) -> list[str]:
        return [str(m.content) for m in self.context.conversation.messages if isinstance(m, ToolMessage)]


async def play(
    scaffold: Scaffold, machine: Environment, model: Model | Sequence[Any], budget: Budget | None = None
) -> Played:
    events: list[Event] = []
    subject: Any = Scripted(replies=model) if isinstance(model, list) else model
    context = Context.start(
        env=machine, model=subject, budget=budget or Budget(seconds=30), emit=events.append, seed=7
    )
    episode = await scaffold.run("Do it.", machine, context=context)
    return Played(episode=episode, events=events, context=context)


async def test_the_four_faculties_take_over_from_each_other(machine: Environment) -> None:
    played = await play(
        FacultyScaffold(), machine, [LOOK, "found", "1. work", FAIL, WORK, "mended", WORK, DONE]
    )
    assert played.phases == ["explore", "plan", "execute", "repair", "execute"]
    assert (played.episode.stop, played.episode.submission) == ("finished", "all done")
    assert played.episode.steps == 8
    use = played.episode.faculties
    turns = {"explore": 2, "plan": 1, "execute": 3, "repair": 2, "memory": 0}
    assert {name: u.turns for name, u in use.items()} == turns
    assert use["execute"].entered == 2
    assert use["explore"].tool_calls == 1
    assert sum(u.tokens for u in use.values()) == played.episode.usage.tokens > 0
    assert use["execute"].seconds > 0


@pytest.mark.parametrize("absent", ["explore", "plan", "execute", "repair"])
async def test_an_absent_faculty_is_absent_from_the_graph(machine: Environment, absent: str) -> None:
    gone: dict[str, Any] = {absent: None}
    scaffold = replace(FacultyScaffold(), **gone)
    assert absent not in scaffold.compile().nodes
    assert absent not in scaffold.mermaid()
    played = await play(scaffold, machine, ["said", "said", FAIL, WORK, "mended", DONE])
    assert absent not in played.phases
    assert absent not in played.episode.faculties
    assert absent in FacultyScaffold().compile().nodes


async def test_a_faculty_that_never_fired_stands_in_the_account_with_zero(machine: Environment) -> None:
    played = await play(FacultyScaffold(), machine, ["found", "plan", DONE])
    assert played.episode.faculties["repair"] == FacultyUse()


def test_a_scaffold_without_any_faculty_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="give it explore, plan or execute"):
        FacultyScaffold(explore=None, plan=None, execute=None)


async def test_any_callable_replaces_a_faculty(machine: Environment) -> None:
    async def blunt(state: State, context: Context) -> Update:
        assert state["phase"] == "explore"
        reply = await context.turn("plan")
        return Update(hand_over="execute", submission=reply.text)

    played = await play(FacultyScaffold(plan=blunt), machine, ["found", "just do it", WORK, DONE])
    assert played.phases == ["explore", "plan", "execute"]
    assert played.episode.faculties["plan"].turns == 1


@pytest.mark.parametrize("name", ["explore", "plan", "execute"])
async def test_a_faculty_that_never_asks_is_the_scaffolds_fault(machine: Environment, name: str) -> None:
    async def idle(_state: State, _context: Context) -> Update:
        return Update()

    changed: dict[str, Any] = {name: idle}
    scaffold = replace(FacultyScaffold(name="mine"), **changed)
    with pytest.raises(ScaffoldStuck, match=rf"'mine' took 62 steps .*{name}.* never did") as stuck:
        await play(scaffold, machine, ["found", "the plan"], Budget(steps=3, seconds=30))
    assert "GraphRecursionError" not in str(stuck.value)


async def test_faculties_that_hand_over_in_a_ring_are_the_scaffolds_fault(machine: Environment) -> None:
    async def onward(_state: State, _context: Context) -> Update:
        return Update(hand_over="execute")

    async def back(_state: State, _context: Context) -> Update:
        return Update(hand_over="plan")

    with pytest.raises(ScaffoldStuck, match=r"asked the subject 0 times \(plan, execute never did\)"):
        await play(FacultyScaffold(explore=None, plan=onward, execute=back, repair=None), machine, [])


async def test_a_scaffold_that_uses_its_whole_budget_is_not_stuck(machine: Environment) -> None:
    played = await play(FacultyScaffold(), machine, ["found", "plan", *[FAIL] * 30], Budget(steps=30))
    assert (played.episode.stop, played.episode.limit) == ("limit", "steps")


async def test_a_graph_of_ones_own_that_never_ends_is_the_scaffolds_fault(machine: Environment) -> None:
    async def turn(state: State) -> Update:
        return Update(turns=state["turns"] + 1)

    graph = StateGraph(State, context_schema=Context)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    graph.add_edge("turn", "turn")
    with pytest.raises(ScaffoldStuck, match="the scaffold 'ring' took"):
        await play(GraphScaffold(name="ring", graph=graph.compile()), machine, [])


class NoArguments(BaseModel):
    pass


def named(name: str) -> FunctionTool[NoArguments]:
    async def run(_arguments: NoArguments, _env: Environment) -> ToolOutcome:
        return ToolOutcome(text="")

    return FunctionTool(name=name, group="shell", description="", arguments=NoArguments, function=run)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([*DEFAULT_TOOLS, named("finish")], "cannot be called 'finish': every scaffold has one"),
        ([named("look"), named("look")], "two tools called 'look'"),
    ],
)
def test_tools_that_could_be_mistaken_for_each_other_are_refused(tools: list[Tool], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FacultyScaffold(tools=tuple(tools))
    with pytest.raises(ValueError, match=said):
        GraphScaffold(name="mine", graph=react().compile(), tools=tuple(tools))
    with pytest.raises(ValueError, match=said):
        Bench(tools)


async def test_without_execute_the_last_words_are_the_submission(machine: Environment) -> None:
    played = await play(FacultyScaffold(execute=None), machine, [LOOK, "found", "the plan"])
    assert (played.episode.stop, played.episode.submission) == ("finished", "the plan")


async def test_exploring_ends_after_its_turns(machine: Environment) -> None:
    played = await play(FacultyScaffold(explore=Explore(turns=2)), machine, [LOOK, LOOK, "plan", DONE])
    assert played.episode.faculties["explore"].turns == 2
    assert len(played.ran) == 3


async def test_the_single_loop_has_no_phases(machine: Environment) -> None:
    assert set(react().compile().nodes) == {"__start__", "execute", "shell", "file", "process", "network"}
    played = await play(react(), machine, [FAIL, FAIL, WORK, DONE])
    assert played.phases == ["execute"]
    said = [m.content for m in played.context.conversation.messages if m.type == "human"]
    assert said == ["Do it."]


class Remembering:
    """Keeps what each request held."""

    def __init__(self, replies: list[Any]) -> None:
        self.script = Scripted(replies=replies)
        self.requests: list[tuple[list[BaseMessage], Any, str]] = []

    async def ask(self, messages: Sequence[BaseMessage], **options: Any) -> Any:
        copies = [message.model_copy(deep=True) for message in messages]
        self.requests.append((copies, options["tools"], options["tool_choice"]))
        assert options["seed"] == 7
        return await self.script.ask(messages, **options)


async def test_each_request_is_a_prefix_of_the_next_with_the_same_tools(machine: Environment) -> None:
    model = Remembering([LOOK, "found", "plan", FAIL, WORK, "mended", "hm", WORK, DONE])
    await play(FacultyScaffold(), machine, model)
    requests = model.requests
    for (before, tools, _), (after, same_tools, _) in pairwise(requests):
        assert after[: len(before)] == before
        assert len(after) > len(before)
        assert tools is same_tools
    assert [choice for _, _, choice in requests].index("none") == 2
    assert [choice for _, _, choice in requests].count("none") == 1
    assert "finish" in [tool.name for tool in requests[0][1]]


async def test_the_events_rebuild_the_conversation_and_do_not_grow(machine: Environment) -> None:
    played = await play(ALONE, machine, [WORK] * 60, Budget(steps=60, seconds=60))
    sizes: dict[int, int] = {}
    rebuilt: list[str] = []
    for event in played.events:
        line = orjson.dumps({"kind": event.kind, **as_fields(event)})
        sizes[getattr(event, "step", 0)] = sizes.get(getattr(event, "step", 0), 0) + len(line)
        if isinstance(event, Asked):
            rebuilt += [added["content"] for added in event.added]
        elif isinstance(event, Replied | ToolRan):
            rebuilt.append(event.text)
    assert sizes[59] <= 1.1 * sizes[5]
    assert rebuilt == [m.content for m in played.context.conversation.messages]


async def test_groups_run_side_by_side_and_answer_in_the_order_of_the_calls(machine: Environment) -> None:
    both = [
        call("shell", command="for i in {1..100}; do [ -e go ] && exit 0; sleep 0.05; done; exit 1"),
        call("write_file", path="go", content="now"),
        call("shell", command="echo second"),
    ]
    played = await play(ALONE, machine, [both, DONE])
    assert played.answers[:3] == ["[no output]", "[3 bytes written]", "second"]
    assert [ran.tool for ran in played.ran[:3]] == ["write_file", "shell", "shell"]
    assert played.episode.faculties["execute"].tool_calls == 4


async def test_a_failure_in_one_of_two_groups_leads_to_repair_alone(machine: Environment) -> None:
    mixed = [call("shell", command="sleep 0.2; exit 1"), call("list_directory", path=".")]
    scaffold = FacultyScaffold(explore=None, plan=None)
    played = await play(scaffold, machine, [mixed, "mended", DONE])
    assert played.phases == ["execute", "repair", "execute"]
    assert played.episode.steps == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (call("shel", command="true"), "Did you mean shell?"),
        (call("fly_to_the_moon_now"), "There are: shell,"),
        (call("shell", cmd="true"), "command: Field required"),
        (call("shell", command="echo \0"), "cannot be passed on"),
    ],
)
async def test_a_call_that_cannot_be_run_is_a_failure_the_subject_is_told(
    machine: Environment, wrong: Any, told: str
) -> None:
    scaffold = FacultyScaffold(explore=None, plan=None)
    played = await play(scaffold, machine, [[wrong, *WORK], "mended", DONE])
    assert told in played.answers[0]
    assert played.answers[1] == "worked"
    assert played.phases == ["execute", "repair", "execute"]


async def test_what_is_called_beside_finish_is_still_run(machine: Environment) -> None:
    last = [call("write_file", path="last", content="x"), *DONE]
    played = await play(ALONE, machine, [last])
    assert await machine.read(machine.home / "last") == b"x"
    assert (played.episode.stop, played.episode.submission) == ("finished", "all done")
    assert [ran.tool for ran in played.ran] == ["finish", "write_file"]


async def test_words_without_deeds_are_nudged_and_then_stall(machine: Environment) -> None:
    nudge = load("nudge").text
    played = await play(ALONE, machine, ["hm", WORK, "hm", "hm", "hm", DONE])
    assert (played.episode.stop, played.episode.submission) == ("stalled", "hm")
    assert played.episode.steps == 5
    assert [m.content for m in played.context.conversation.messages].count(nudge) == 3


async def test_repair_gives_back_after_its_turns_and_is_not_entered_again_for_old_failures(
    machine: Environment,
) -> None:
    scaffold = FacultyScaffold(explore=None, plan=None, repair=Repair(turns=2))
    played = await play(scaffold, machine, [FAIL, FAIL, FAIL, "hm", DONE])
    assert played.phases == ["execute", "repair", "execute"]
    assert played.episode.stop == "finished"


async def test_repair_waits_for_as_many_failures_as_it_is_told(machine: Environment) -> None:
    scaffold = FacultyScaffold(explore=None, plan=None, repair=Repair(after=2))
    played = await play(scaffold, machine, [FAIL, WORK, FAIL, FAIL, "mended", DONE])
    assert [e.step for e in played.events if isinstance(e, FacultyEntered) and e.faculty == "repair"] == [4]


@pytest.mark.parametrize(("plan", "then"), [(True, "plan"), (False, "execute")])
async def test_repair_may_ask_for_another_plan(machine: Environment, plan: bool, then: str) -> None:  # noqa: FBT001
    scaffold = FacultyScaffold(explore=None, **({} if plan else {"plan": None}))  # type: ignore[arg-type]
    before = ["the plan"] if plan else []
    played = await play(scaffold, machine, [*before, FAIL, "all wrong\nREPLAN", "next", DONE])
    assert played.phases[played.phases.index("repair") + 1] == then


@pytest.mark.parametrize(
    "words", ["I'm sorry, but I can't help with that.", "I\u2019m unable to assist.", "I refuse to do this."]
)
async def test_declining_before_acting_is_a_refusal(machine: Environment, words: str) -> None:
    played = await play(FacultyScaffold(), machine, [words])
    assert (played.episode.stop, played.episode.submission) == ("refused", words)
    assert played.episode.steps == 1


async def test_declining_after_acting_and_reporting_trouble_are_none(machine: Environment) -> None:
    played = await play(FacultyScaffold(), machine, [LOOK, "I cannot help with that.", "plan", DONE])
    assert played.episode.stop == "finished"
    played = await play(FacultyScaffold(), machine, ["I cannot find the file. I will look.", "plan", DONE])
    assert played.episode.stop == "finished"


async def test_a_graph_of_ones_own_is_a_scaffold(machine: Environment) -> None:
    async def act(state: State, runtime: Runtime[Context]) -> Update:
        reply = await runtime.context.turn("act")
        await runtime.context.run_tools("act", "shell")
        return Update(done=True, stop="finished", submission=reply.calls[0].name + str(state["turns"]))

    graph = StateGraph(State, context_schema=Context)
    graph.add_node("act", act)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    scaffold = GraphScaffold(name="mine", graph=graph.compile(), faculties=("act",))
    played = await play(scaffold, machine, [WORK])
    assert played.episode.submission == "shell0"
    assert played.answers == ["worked"]
    assert played.episode.faculties["act"].turns == 1


async def test_the_control_arms(machine: Environment) -> None:
    async def procedure(env: Environment) -> str:
        return (await env.exec(["echo", "played"])).text

    idle = await play(Nothing(), machine, [])
    assert (idle.episode.stop, idle.episode.submission, idle.episode.steps) == ("finished", None, 0)
    played = await play(Reference().playing(procedure), machine, [])
    assert played.episode.submission == "played\n"
    with pytest.raises(ValueError, match="playing"):
        await play(Reference(), machine, [])


def test_what_a_scaffold_is_made_of_can_be_compared() -> None:
    assert FacultyScaffold() == FacultyScaffold()
    assert FacultyScaffold(repair=Repair(turns=9)) != FacultyScaffold()
    assert Execute(stalls=1) != Execute()
    assert isinstance(FacultyScaffold(), Scaffold)
