"""A program inside a real sandbox asks the subject through the gate, and is held to who it is."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import ChatServer, completion, serving
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from environments import Unavailable
from environments.sandbox import Sandbox
from scaffold import Broker, Budget, Context, InsideAgent, ModelFailed
from scaffold.broker import Lineage, census_of, open_door
from scaffold.broker.door import MOST_CONNECTIONS
from scaffold.events import Asked, FacultyEntered, Forged, GenerationEnded, Replied
from scaffold.models import ChatSubject, OpenAISubject, parse_subject
from scaffold.models.patience import Patience
from scaffold.models.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from environments import Lease
    from scaffold.broker import Door
    from scaffold.events import Event

pytestmark = pytest.mark.anyio

PORT = 28400
CLIENT = """\
import json, sys, urllib.error, urllib.request
port, token, path, body = sys.argv[1:5]
head = {"Authorization": "Bearer " + token, "Content-Type": "application/json"} if token else {}
url = f"http://127.0.0.1:{port}/v1{path}"
data = None if body == "-" else (body * int(sys.argv[5]) if len(sys.argv) > 5 else body).encode()
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, data, head), timeout=30)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.headers["Content-Type"].partition(";")[0])
print(answer.read().decode())
"""
HOLD = """\
import select, socket, sys
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) for _ in range(130)]
while ready := select.select(held, [], [], 2)[0]:
    held = [each for each in held if each not in ready]
print(len(held))
"""
GONE = """\
import socket, sys
door = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
head = f"GET /v1/models HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {sys.argv[2]}\\r\\n\\r\\n"
door.sendall(head.encode())
"""
MADE_UP = "sk-made-up"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(kw_only=True)
class Inside:
    """A sandbox with an open door, and what came of its lineage."""

    lease: Lease
    lineage: Lineage
    door: Door
    events: list[Event]
    server: ChatServer

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def call(
        self, body: Any = None, *, token: str | None = None, path: str = "/chat/completions", times: int = 0
    ) -> tuple[int, str, Any]:
        """Call as a process of the machine; status, type and body of the answer."""
        token = self.lineage.first.token if token is None else token
        text = "-" if body is None else body if isinstance(body, str) else json.dumps(body)
        argv = [
            "python3",
            "client.py",
            str(self.door.port),
            token,
            path,
            text,
            *([str(times)] if times else []),
        ]
        said = await self.lease.agent.exec(argv)
        assert said.ok, said.text
        first, _, rest = said.stdout.decode().partition("\n")
        status, kind = first.split()
        return int(status), kind, json.loads(rest) if kind == "application/json" else rest


@asynccontextmanager
async def inside(*answers: Any, budget: Budget | None = None, tell: bool = True) -> AsyncIterator[Inside]:
    events: list[Event] = []
    async with serving(*(answers or (completion(),))) as server:
        subject = OpenAISubject(model="real", base_url=server.url, patience=Patience(attempts=1))
        async with subject.connect() as model, Sandbox().open(label="door", seed=0) as lease:
            await lease.control.plant(lease.agent.home / "client.py", CLIENT.encode())
            assert lease.gate is not None
            census = census_of({"": lease.control}) if tell else None
            world = () if census is None else await census()
            lineage = Broker(model).admit(
                budget=budget or Budget(), emit=events.append, census=census, world=world
            )
            async with open_door(lineage, lease.gate, port=PORT, seed=11) as door:
                yield Inside(lease=lease, lineage=lineage, door=door, events=events, server=server)


async def test_a_request_reaches_the_server_as_it_is_but_for_the_models_name() -> None:
    asked = {
        **HELLO,
        "temperature": 0.25,
        "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "dig", "parameters": {"type": "object"}}}],
        "metadata": {"of": "the client's own"},
    }
    async with inside(completion("words", calls=[("dig", '{"deep": 1}')])) as machine:
        status, kind, answer = await machine.call(asked)
        assert (status, kind) == (200, "application/json")
        assert answer == {"model": "real", **completion("words", calls=[("dig", '{"deep": 1}')])}
        assert machine.server.requests == [{**asked, "model": "real", "seed": 11, "stream": False}]
        (heard,), (replied,) = machine.of(Asked), machine.of(Replied)
        assert heard.settings["model"] == "m"
        assert heard.settings["tools"] == asked["tools"]
        assert heard.added == ({"role": "user", "content": "Hello"},)
        assert (replied.text, replied.calls[0]["arguments"]) == ("words", {"deep": 1})
        assert (heard.faculty, heard.generation) == ("inside", 0)
        assert machine.lineage.first.tool_calls == 1


async def test_each_message_is_recorded_once() -> None:
    async with inside(completion("one", calls=[("dig", "{}")]), completion("two")) as machine:
        _, _, answer = await machine.call(HELLO)
        told = {"role": "tool", "tool_call_id": "c0", "content": "gold"}
        more = [*HELLO["messages"], answer["choices"][0]["message"], told]
        await machine.call({**HELLO, "messages": more})
        cut = [{"role": "user", "content": "Hello, anew"}, told]
        await machine.call({**HELLO, "messages": cut})
        first, second, third = machine.of(Asked)
        assert second.added == ({"role": "tool", "tool_call_id": "c0", "content": "gold"},)
        assert (first.settings, second.settings) == ({"model": "m"}, {})
        assert [message["content"] for message in third.added] == ["Hello, anew", "gold"]
        assert len(machine.of(Replied)) == 3


async def test_a_stream_is_made_of_the_one_answer() -> None:
    calls = [("dig", '{"deep": 1}'), ("fill", "{}")]
    async with inside(completion("words", calls=calls)) as machine:
        status, kind, text = await machine.call(
            {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
        )
        assert (status, kind) == (200, "text/event-stream")
        assert machine.server.requests[0]["stream"] is False
        lines = [line.removeprefix("data: ") for line in text.strip().split("\n\n")]
        assert lines.pop() == "[DONE]"
        pieces = [json.loads(line) for line in lines]
        assert {piece["object"] for piece in pieces} == {"chat.completion.chunk"}
        assert pieces.pop()["usage"]["total_tokens"] == 110
        deltas = [piece["choices"][0]["delta"] for piece in pieces]
        assert "".join(delta.get("content") or "" for delta in deltas) == "words"
        asked = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert [(one["index"], one["function"]["name"]) for one in asked] == [(0, "dig"), (1, "fill")]
        assert pieces[-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert len(machine.of(Asked)) == len(machine.of(Replied)) == 1
        _, _, text = await machine.call({**HELLO, "stream": True})
        assert '"usage"' in text.strip().split("\n\n")[-2]


async def test_the_one_model_is_listed() -> None:
    async with inside() as machine:
        status, _, answer = await machine.call(path="/models")
        assert (status, [entry["id"] for entry in answer["data"]]) == (200, ["real"])
        assert (await machine.call(path="/models", token=""))[0] == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**HELLO, "n": 2}, 400, "unsupported_value"),
        ("{", 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        ({"messages": []}, 400, "invalid_request"),
        ({"messages": [{"role": "king"}]}, 400, "invalid_request"),
        ({**HELLO, "stream": "yes"}, 400, "invalid_request"),
    ],
)
async def test_what_is_no_request_is_told_so(body: Any, status: int, code: str) -> None:
    async with inside() as machine:
        said, _, answer = await machine.call(body)
        assert (said, answer["error"]["code"]) == (status, code)
        assert not machine.server.requests
        assert machine.lineage.meter.steps == 0


async def test_what_is_too_long_or_elsewhere_is_told_so() -> None:
    async with inside() as machine:
        assert (await machine.call("x" * 1000, times=9000))[0] == 413
        status, _, answer = await machine.call(HELLO, path="/responses")
        assert (status, answer["error"]["code"]) == (404, "unknown_url")


async def test_a_spent_budget_is_a_quota_and_names_the_limit() -> None:
    async with inside(budget=Budget(steps=2)) as machine:
        assert [(await machine.call(HELLO))[0] for _ in range(2)] == [200, 200]
        status, _, answer = await machine.call(HELLO)
        assert (status, answer["error"]["type"]) == (429, "insufficient_quota")
        assert "steps" in answer["error"]["message"]
        assert machine.door.limit == "steps"
        assert len(machine.server.requests) == 2


async def test_too_many_at_once_are_turned_away() -> None:
    slow = asyncio.Event()

    async def later(_: Any) -> Any:
        await slow.wait()
        return web.json_response(completion())

    async with inside(later) as machine:
        calls = [asyncio.create_task(machine.call(HELLO)) for _ in range(7)]
        for turned_away in asyncio.as_completed(calls, timeout=60):
            assert (await turned_away)[0] == 429
            if sum(call.done() for call in calls) == 3:
                break
        assert len(machine.server.requests) <= 4
        slow.set()
        statuses = sorted(status for status, _, _ in await asyncio.gather(*calls))
        assert statuses == [200] * 4 + [429] * 3


async def test_keys_that_are_nobodys_or_good_no_more_are_refused_and_recorded() -> None:
    async with inside() as machine:
        other = machine.lineage.broker.admit(budget=Budget())
        child = machine.lineage.descend(machine.lineage.first)
        machine.lineage.broker.revoke(child, "its loop has ended")
        tokens = [MADE_UP, other.first.token, child.token]
        assert [(await machine.call(HELLO, token=token))[0] for token in tokens] == [401] * 3
        claims = [event.claimed for event in machine.of(Forged)]
        assert [claim.partition(";")[0] for claim in claims] == [
            "a key that nobody was given",
            "a key of another trial",
            "the revoked key of generation 1 (loop 1)",
        ]
        assert all("client.py" in event.process for event in machine.of(Forged))
        assert not any(token in event.process for event in machine.of(Forged) for token in tokens[2:])
        assert machine.lineage.forged == 3
        assert not machine.server.requests


async def test_a_process_with_the_key_of_another_generation_is_refused() -> None:
    async with inside() as machine:
        first, lineage = machine.lineage.first, machine.lineage
        assert (await machine.call(HELLO))[0] == 200
        child = lineage.descend(first)
        await lineage.begin(child)
        sibling = lineage.descend(first)
        assert (await machine.call(HELLO, token=child.token))[0] == 200
        for token, whose in (
            (first.token, "generation 0 (loop 0)"),
            (sibling.token, "generation 1 (loop 2)"),
        ):
            status, _, answer = await machine.call(HELLO, token=token)
            assert (status, answer["error"]["type"]) == (403, "permission_error")
            forged = machine.of(Forged)[-1]
            assert forged.claimed == f"the key of {whose}"
            assert forged.found == "generation 1 (loop 1)"
        await lineage.end(child)
        assert (await machine.call(HELLO))[0] == 200  # what begins now is generation 0's again
        (ended,) = machine.of(GenerationEnded)
        assert (ended.number, ended.calls) == (1, 1)


async def test_what_was_there_before_the_agent_gets_nothing() -> None:
    waiting = f"import time; time.sleep(1)\n{CLIENT}"
    events: list[Event] = []
    async with (
        parse_subject("simulated:steady").connect() as model,
        Sandbox().open(label="door", seed=0) as lease,
    ):
        census = census_of({"": lease.control})
        home = lease.agent.home
        await lease.control.plant(home / "old.py", waiting.encode())
        broker = Broker(model)
        # The world's service is given the key by whoever can read it: the key alone is not enough.
        ask = f"""exec python3 old.py {PORT} "$(cat token)" /chat/completions '{json.dumps(HELLO)}'"""
        await lease.control.launch(
            ["bash", "-c", f"until test -s token; do sleep 0.05; done; {ask}"], cwd=home, log=home / "said"
        )
        lineage = broker.admit(budget=Budget(), emit=events.append, census=census, world=await census())
        assert lease.gate is not None
        async with open_door(lineage, lease.gate, port=PORT):
            await lease.agent.write(home / "token", lineage.first.token.encode())
            for _ in range(300):
                if (said := await lease.control.look(home / "said")) and b"\n" in said:
                    break
                await asyncio.sleep(0.05)
        assert said is not None
        assert said.startswith(b"403")
        (forged,) = [event for event in events if isinstance(event, Forged)]
        assert forged.found == "the world"
        assert lineage.meter.steps == 0


async def test_what_a_process_says_of_itself_is_held_against_the_kernels_account() -> None:
    async with inside() as machine:
        lease, lineage = machine.lease, machine.lineage
        await lease.agent.exec(["bash", "-c", "sleep 300 </dev/null >/dev/null 2>&1 & touch of-zero"])
        child = lineage.descend(lineage.first)
        await lineage.begin(child)
        stay = "import time; time.sleep(300)"
        begun = "until grep -q generation /proc/$!/cmdline; do sleep 0.02; done;"
        claim = f"python3 -c '{stay}' --generation=0 </dev/null >/dev/null 2>&1 & {begun}"
        true = f"python3 -c '{stay}' --generation 1 </dev/null >/dev/null 2>&1 & {begun}"
        await lease.agent.exec(["bash", "-c", f"{claim} {true} touch of-one; echo more >>of-zero"])
        await lineage.end(child)
        (forged,) = machine.of(Forged)
        assert (forged.way, forged.claimed, forged.found) == (
            "argument",
            "generation 0",
            "generation 1 (loop 1)",
        )
        await lineage.close()
        one, zero = machine.of(GenerationEnded)
        assert (one.processes, one.files) == (2, 2)
        assert (zero.processes, zero.files) == (1, 0)
        assert len(machine.of(Forged)) == 1, "one claim was counted twice"


@pytest.mark.slow
async def test_more_connections_than_the_runner_can_hold_are_cut() -> None:
    async with inside() as machine:
        await machine.lease.agent.write(machine.lease.agent.home / "hold.py", HOLD.encode())
        told = await machine.lease.agent.exec(["python3", "hold.py", str(PORT)])
        kept = int(told.text)
        assert MOST_CONNECTIONS <= kept < MOST_CONNECTIONS + 64
        assert (await machine.call(HELLO))[0] == 200, "nobody is let in any more"


async def test_a_caller_that_nobody_knows_is_refused_where_callers_are_known() -> None:
    async with inside() as machine:
        await machine.lease.agent.write(machine.lease.agent.home / "gone.py", GONE.encode())
        token = machine.lineage.first.token
        later = f"(sleep 1; exec python3 gone.py {PORT} {token}) >/dev/null 2>&1 &"
        await machine.lease.agent.exec(["sh", "-c", later])
        assert _running(token)
        while _running(token):
            time.sleep(0.02)  # noqa: ASYNC251  the door is not to look before the caller has gone
        for _ in range(1000):
            if machine.of(Forged):
                break
            await asyncio.sleep(0.02)
        (forged,) = machine.of(Forged)
        assert (forged.found, forged.process) == ("unknown", "unknown")


def _running(mark: str) -> bool:
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(process.read_bytes())
    return any(mark.encode() in line for line in lines)


async def test_false_claims_without_end_fill_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaffold.broker.lineage.MOST_TOLD", 2)
    async with inside() as machine:
        for _ in range(4):
            await machine.call(HELLO, token=MADE_UP)
        assert (len(machine.of(Forged)), machine.lineage.forged) == (2, 4)


# ---------------------------------------------------------------------- the scaffold

AGENT = """\
import json, os, sys, urllib.request
instruction = sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read()
body = json.dumps({"model": os.environ["MODEL"], "messages": [{"role": "user", "content": instruction}]})
head = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"}
for _ in range(int(os.environ.get("TIMES", "1"))):
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body.encode(), head)
    with urllib.request.urlopen(request) as answer:
        print("thinking")
        print(json.load(answer)["choices"][0]["message"]["content"])
"""
PROGRAM = InsideAgent(name="own", files={"bin/agent.py": AGENT}, command=("python3", "bin/agent.py"))


async def play(agent: InsideAgent, model: Any, **changes: Any) -> tuple[Any, Context, list[Event]]:
    events: list[Event] = []
    async with Sandbox().open(label="agent", seed=0) as lease:
        given = {"budget": Budget(seconds=30), "gate": lease.gate, **changes}
        context = Context.start(env=lease.agent, model=model, emit=events.append, **given)
        return await agent.run("Do it.", lease.agent, context=context), context, events


@pytest.mark.parametrize("way", ["argument", "stdin"])
async def test_a_program_inside_is_a_scaffold(way: Any) -> None:
    agent = InsideAgent(
        name="own", files={"bin/agent.py": AGENT}, command=("python3", "bin/agent.py"), instruction=way
    )
    async with serving(completion("It is done.")) as server:
        async with OpenAISubject(model="real", base_url=server.url).connect() as model:
            episode, context, events = await play(agent, model)
        assert server.requests[0]["messages"] == [{"role": "user", "content": "Do it."}]
    assert (episode.stop, episode.submission, episode.steps) == ("finished", "It is done.", 1)
    assert episode.faculties["inside"].turns == 1
    assert [event.kind for event in events] == ["faculty", "asked", "replied"]
    assert isinstance(events[0], FacultyEntered)
    assert context.meter.usage.tokens == 110


async def test_a_program_whose_quota_is_spent_ends_in_that_limit() -> None:
    async with serving(completion()) as server:
        async with OpenAISubject(model="real", base_url=server.url).connect() as model:
            greedy = InsideAgent(
                name="greedy", files=PROGRAM.files, command=PROGRAM.command, environ={"TIMES": "9"}
            )
            episode, _, _ = await play(greedy, model, budget=Budget(steps=3, seconds=30))
        assert len(server.requests) == 3
    assert (episode.stop, episode.limit, episode.steps) == ("limit", "steps", 3)


async def test_a_program_that_goes_on_without_its_model_is_stopped_after_a_while() -> None:
    text = AGENT.replace(
        "    with urllib.request.urlopen(request) as answer:",
        "    try:\n        answer = urllib.request.urlopen(request)\n"
        "    except Exception:\n        import time; time.sleep(600)\n    with answer:",
    )
    stubborn = InsideAgent(
        name="stubborn",
        files={"agent.py": text},
        command=("python3", "agent.py"),
        environ={"TIMES": "2"},
        patience_s=0.5,
    )
    async with (
        serving(completion()) as server,
        OpenAISubject(model="real", base_url=server.url).connect() as model,
    ):
        episode, context, _ = await play(stubborn, model, budget=Budget(steps=1, seconds=60))
    assert (episode.stop, episode.limit, episode.submission) == ("limit", "steps", None)
    assert context.meter.seconds < 30


@pytest.mark.parametrize(
    ("command", "stop", "said"),
    [
        (("bash", "-c", "echo one; echo two; exit 3"), "stalled", "two"),
        (("bash", "-c", "echo one; echo; echo"), "finished", "one"),
        (("true",), "finished", None),
        (("no-such-program",), "stalled", None),
    ],
)
async def test_how_the_program_ended_is_how_the_episode_did(
    command: tuple[str, ...], stop: str, said: str | None
) -> None:
    async with parse_subject("simulated:steady").connect() as model:
        episode, _, _ = await play(InsideAgent(name="own", command=command), model)
    assert (episode.stop, episode.submission, episode.steps) == (stop, said, 0)


async def test_a_program_out_of_time_is_ended() -> None:
    async with parse_subject("simulated:steady").connect() as model:
        slow = InsideAgent(name="own", command=("sleep", "600"), instruction="stdin")
        episode, _, _ = await play(slow, model, budget=Budget(seconds=1.0))
    assert (episode.stop, episode.limit) == ("limit", "seconds")


async def test_a_server_that_fails_is_not_the_programs_fault() -> None:
    async with serving(web.Response(status=400, body=b"{}")) as server:
        subject = OpenAISubject(model="real", base_url=server.url, patience=Patience(attempts=1))
        async with subject.connect() as model:
            with pytest.raises(ModelFailed, match="answered 400"):
                await play(PROGRAM, model)


async def test_any_langchain_chat_model_answers_programs_too() -> None:
    chat = GenericFakeChatModel(messages=iter([AIMessage("Converted.")]))
    async with ChatSubject(chat=chat, name="own").connect() as model:
        episode, _, _ = await play(PROGRAM, model)
    assert (episode.stop, episode.submission) == ("finished", "Converted.")


async def test_what_cannot_be_done_is_refused_at_the_start() -> None:
    with pytest.raises(Unavailable, match="does not answer them as they are"):
        await play(PROGRAM, Scripted(replies=[]))
    async with parse_subject("simulated:steady").connect() as model:
        with pytest.raises(Unavailable, match="take a machine with a gate"):
            await play(PROGRAM, model, gate=None)
    with pytest.raises(ValueError, match="below the home directory"):
        InsideAgent(name="own", files={"../x": ""}, command=("true",))
    with pytest.raises(ValueError, match="needs a command"):
        InsideAgent(name="own", command=())


async def test_a_port_that_is_taken_inside_is_passed_over() -> None:
    async with (
        parse_subject("simulated:steady").connect() as model,
        Sandbox().open(label="taken", seed=0) as lease,
    ):
        assert lease.gate is not None
        async with lease.gate.open(PORT):
            lineage = Broker(model).admit(budget=Budget())
            async with open_door(lineage, lease.gate, port=PORT) as door:
                assert door.port == PORT + 1


async def test_what_is_no_request_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with inside() as machine:
        said = "printf 'G\\x1b]0;x\\x07 / no/1\\r\\n\\r\\n'"
        text = f"exec 3<>/dev/tcp/127.0.0.1/{machine.door.port}; {said} >&3; cat <&3"
        answer = await machine.lease.agent.exec(["bash", "-c", text])
        assert b"400" in answer.stdout
        assert (await machine.call(HELLO))[0] == 200
    assert caplog.records == []
