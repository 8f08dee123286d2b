from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from scaffold import Broker, Budget, BudgetSpent, EpisodeEnded
from scaffold.events import as_fields
from scaffold.models.recorded import Recorded, Recording, Renaming
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from scaffold.events import Event

pytestmark = pytest.mark.anyio

KEY, OTHER = "0abf5f5e3481948fd4fcdee9ce12983899f0a903", "4bc6a4a2645aa5b9ca5190dce119246169cc8d32"
TABLE = "USER PID %CPU COMMAND\nagent {0} {1} python3 unit.py\n\nport 80"

ALIKE = {
    "a key": (f"answer: {KEY}", f"answer: {OTHER}", {"value": 1}),
    "a token": ("abcde-fghij-klmno-pqrst", "zzzde-fghij-klmno-pqrst", {"value": 1}),
    "a date": ("-rw- 5 Nov 24 18:24 a", "-rw- 5 Nov  4 08:25 a", {"time": 1}),
    "a stamp": ("at 2031-04-01T10:00:00Z ok", "at 2032-05-02T11:01:01Z ok", {"time": 1}),
    "seconds since the epoch": ("t=1764000000.5", "t=1764000001.75", {"time": 1}),
    "how long it took": ("real 0m0.013s, 12 ms", "real 0m1.500s, 7 ms", {"time": 2}),
    "a process": ("started with pid 102", "started with pid 7", {"process": 1}),
    "a directory of a process": ("/proc/17/fd", "/proc/1733/fd", {"process": 1}),
    "a table of processes": (TABLE.format(12, 0.1), TABLE.format(1044, 12.5), {"process": 1}),
    "what was drawn": ("the sign is XF-5858-WY", "the sign is GB-2970-WJ", {"known value": 1}),
}
UNLIKE = {
    "a word": ("it is fine", "it is gone"),
    "a status": ("[exit status 0]", "[exit status 1]"),
    "a port": ("listens on 8022", "listens on 8023"),
    "a key of another length": (f"k {KEY}", f"k {OTHER}0"),
    "text beside a key": (f"answer: {KEY}", f"anser: {OTHER}"),
    "one line more": ("a\nb", "a\nb\nc"),
    "text beside a table": (TABLE.format(1, 2), TABLE.format(1, 2).replace("80", "81")),
    "one key for two": (f"{KEY} {OTHER}", f"{KEY[::-1]} {KEY[::-1]}"),
    "two keys for one": (f"{KEY} {KEY}", f"{OTHER} {OTHER[::-1]}"),
    "a name that is known": ("open config", "open beacon"),
    "a number that is known": ("step 5", "step 7"),
}
DRAWN = {"GB-2970-WJ", "beacon", "7"}


@pytest.mark.parametrize(("then", "now", "passed"), ALIKE.values(), ids=ALIKE)
def test_what_differs_by_design_passes_and_is_counted(then: str, now: str, passed: dict[str, int]) -> None:
    renaming = Renaming(known=DRAWN)
    assert renaming.alike(then, now)
    assert renaming.passed == passed
    assert not Renaming(known=DRAWN, exact=True).alike(then, now)


@pytest.mark.parametrize(("then", "now"), UNLIKE.values(), ids=UNLIKE)
def test_what_does_not_is_a_difference(then: str, now: str) -> None:
    renaming = Renaming(known=DRAWN)
    assert not renaming.alike(then, now)
    assert (renaming.passed, renaming.values) == ({}, {})


def test_a_value_stands_for_one_value_throughout() -> None:
    renaming = Renaming()
    assert renaming.alike(f"key {KEY}", f"key {OTHER}")
    assert renaming.alike(f"again {KEY}", f"again {OTHER}")
    assert not renaming.alike(f"again {KEY}", f"again {OTHER[::-1]}")
    assert not renaming.alike(f"another {KEY[::-1]}", f"another {OTHER}")
    said = {"command": f"echo {KEY} > note; echo {KEY}x", "list": [KEY, 3]}
    assert renaming.renamed(said) == {"command": f"echo {OTHER} > note; echo {KEY}x", "list": [OTHER, 3]}


# ---------------------------------------------------------------------------------------- the subject

SCRIPT = Scripted(replies=[[call("shell", command="a"), call("shell", command="b")], "so it is", "the end"])


async def recorded_of(script: Scripted = SCRIPT, budget: Budget | None = None) -> list[dict[str, Any]]:
    """The events of a loop of two generations, as a log has them."""
    events: list[dict[str, Any]] = []

    def keep(event: Event) -> None:
        events.append({"kind": event.kind, **as_fields(event)})

    async with script.connect() as model:
        lineage = Broker(model).admit(budget=budget or Budget(), emit=keep)
        first, second = lineage.first, lineage.descend(lineage.first)
        talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
        added = ({"role": "system", "content": "s"}, {"role": "user", "content": "h"})
        reply = await first.ask(talk, added=added, by="plan")
        await second.ask(talk, added=added, by="plan")
        await first.ask([*talk, reply.message], by="plan")
    return events


def replaying(events: list[dict[str, Any]], **more: Any) -> Recorded:
    return Recorded(of="openai:m", simulated=False, source="x", recording=Recording.of(events), **more)


async def test_decisions_come_back_as_they_were_and_cost_nothing() -> None:
    events = await recorded_of()
    events += [{"kind": "episode", "stop": "finished", "limit": None}]
    subject = replaying(events)
    assert (subject.name, subject.recording.decisions) == ("recorded:openai:m", 3)
    async with subject.connect() as model:
        lineage = Broker(model).admit(budget=Budget())
        first, second = lineage.first, lineage.descend(lineage.first)
        talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
        own, heirs = await first.ask(talk), await second.ask(talk)
        assert [c.arguments["command"] for c in own.calls] == ["a", "b"]
        assert own.calls == heirs.calls
        assert own.message is not heirs.message
        assert [c["id"] for c in own.message.tool_calls] == ["call_0_0", "call_0_1"]
        assert (await first.ask([*talk, own.message])).text == "so it is"
        assert (first.usage.tokens, first.usage.tokens_from_cache, first.usage.money) == (70, 70, 0.0)
        assert own.from_cache
        with pytest.raises(EpisodeEnded):
            await first.ask([*talk, own.message, AIMessage("so it is")])


async def test_where_a_budget_was_spent_it_is_again() -> None:
    events = [*await recorded_of(), {"kind": "episode", "stop": "limit", "limit": "seconds"}]
    async with replaying(events).connect() as model:
        talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
        for _ in range(2):
            await model.ask(talk, tools=())
        with pytest.raises(BudgetSpent, match="seconds"):
            await model.ask(talk, tools=())


async def test_a_call_that_could_not_be_run_cannot_be_again() -> None:
    events = await recorded_of()
    next(e for e in events if e["kind"] == "replied")["calls"][0]["problem"] = "not valid JSON"
    async with replaying(events).connect() as model:
        reply = await model.ask([HumanMessage("h")], tools=())
    assert [call.problem for call in reply.calls] == ["not valid JSON", None]
    assert [call["error"] for call in reply.message.invalid_tool_calls] == ["not valid JSON"]
    assert [call["id"] for call in reply.message.tool_calls] == ["call_0_1"]


@pytest.mark.parametrize("answered", ["as it was", "otherwise"])
async def test_it_can_end_where_the_machine_says_something_else(answered: str) -> None:
    events = await recorded_of()
    tool = {"kind": "tool", "step": 1, "tool": "shell", "arguments": {}, "failed": False, "generation": 0}
    events += [{**tool, "id": f"call_0_{number}", "text": "as it was"} for number in (0, 1)]
    async with replaying(events, stop=True).connect() as model:
        talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
        reply = await model.ask(talk, tools=())
        said = [("as it was", "call_0_1"), (answered, "call_0_0")]
        answers = [ToolMessage(text, tool_call_id=identity) for text, identity in said]
        if answered == "as it was":
            assert (await model.ask([*talk, reply.message, *answers], tools=())).text == "so it is"
        else:
            with pytest.raises(EpisodeEnded):
                await model.ask([*talk, reply.message, *answers], tools=())


async def test_what_was_read_anew_is_what_is_written_now() -> None:
    script = Scripted(replies=[[call("shell", command="cat key")], [call("shell", command=f"echo {KEY}")]])
    events = await recorded_of(script)
    tool = {"kind": "tool", "step": 1, "id": "call_0_0", "tool": "shell", "arguments": {}, "failed": False}
    events += [{**tool, "text": KEY}]
    for exact, command in ((False, f"echo {OTHER}"), (True, f"echo {KEY}")):
        async with replaying(events, exact=exact, renaming=Renaming(exact=exact)).connect() as model:
            talk: list[Any] = [SystemMessage("s"), HumanMessage("h")]
            reply = await model.ask(talk, tools=())
            talk += [reply.message, ToolMessage(OTHER, tool_call_id="call_0_0")]
            (decided,) = (await model.ask(talk, tools=())).calls
        assert decided.arguments == {"command": command}
