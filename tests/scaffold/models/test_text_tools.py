from __future__ import annotations

import json
from typing import Any

import pytest
from chat_server import completion, serving
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage

from scaffold.models import OpenAISubject, TextToolsSubject
from scaffold.models.text_calls import parse_calls
from scaffold.tools import DEFAULT_TOOLS

pytestmark = pytest.mark.anyio


def block(call: Any) -> str:
    return f"```tool\n{json.dumps(call)}\n```"


LS = {"name": "shell", "arguments": {"command": "ls"}}


READ = [("shell", {"command": "ls"})]
PORTS = block({"name": "list_ports"})
FENCED = {"content": "```tool\n{}\n```"}


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("Nothing to do.", []),
        ("```bash\nls\n```", []),
        (f"I look.\n\n{block(LS)}", READ),
        (f"{block(LS)}\nand\n{PORTS}\nthen I wait.", [*READ, ("list_ports", {})]),
        (f"```tool_call\r\n{json.dumps(LS)}", READ),
        (f"  ``` tool\n\n  {json.dumps(LS, indent=2)}\n  ```", READ),
        (block(LS).replace("ls", "l\ns"), [("shell", {"command": "l\ns"})]),
        (block({"name": "write_file", "arguments": FENCED}), [("write_file", FENCED)]),
        (f"<tool_call>\n{json.dumps(LS)}\n</tool_call>", READ),
        (f"<tool_call>{json.dumps(LS)}</tool_call><tool_call>{json.dumps(LS)}</tool_call>", READ * 2),
        (f"```json\n{json.dumps(LS)}\n```", READ),
        ('```json\n{"name": "Ann", "age": 3}\n```', []),
        ('```json\n{"broken": \n```', []),
        (block({"name": "shell", "parameters": {"command": "ls"}}), READ),
        (block({"name": "shell", "arguments": '{"command": "ls"}'}), READ),
    ],
)
def test_calls_are_read_from_text(text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    parsed = parse_calls(text, prefix="x")
    assert [(call.name, dict(call.arguments)) for call in parsed] == calls
    assert all(call.problem is None for call in parsed)
    assert len({call.id for call in parsed}) == len(parsed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('```tool\n{"name": "shell", "arguments": {"comm\n```', "not valid JSON"),
        ("```tool\nls\n```", "not valid JSON"),
        ("```tool\n```", "not valid JSON"),
        ("```tool\n[1]\n```", 'a "name" and "arguments"'),
        ('```tool\n{"arguments": {}}\n```', 'a "name" and "arguments"'),
        ('```tool\n{"name": "shell", "arguments": "ls"}\n```', '"arguments" is not a JSON object'),
        ('```tool\n{"name": "shell", "arguments": {"a": ' + "[" * 99 + "]" * 99 + "}}\n```", "levels deep"),
        ("```tool\n" + '{"a":' * 9999 + "1" + "}" * 9999 + "\n```", "levels deep"),
    ],
)
def test_a_broken_block_is_a_call_with_a_problem(text: str, problem: str) -> None:
    broken, sound = parse_calls(f"{text}\n{block(LS)}", prefix="x")
    assert problem in (broken.problem or "")
    assert (sound.name, sound.problem) == ("shell", None)


@pytest.mark.parametrize("opening", ["```tool\n", "```json\n", "<tool_call>"])
@given(text=st.text(alphabet='`tol\n{}[]":, \\a\ud800'))
def test_any_text_can_be_read(opening: str, text: str) -> None:
    for call in parse_calls(opening + text, prefix="x"):
        assert call.problem or call.name is not None


@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=3), max_size=4))
def test_what_is_written_is_read(arguments: list[dict[str, str]]) -> None:
    text = "\n\n".join(block({"name": "f", "arguments": each}) for each in arguments)
    assert [call.arguments for call in parse_calls(text, prefix="x")] == arguments


async def test_a_server_sees_alternating_text_and_a_growing_prefix() -> None:
    answer = completion(f"I look twice.\n{block(LS)}\n{block({'name': 'list_ports', 'arguments': {}})}")
    conversation: list[BaseMessage] = [SystemMessage("You act."), HumanMessage("Do."), HumanMessage("Now.")]
    async with serving(answer) as server:
        subject = TextToolsSubject(subject=OpenAISubject(model="m", base_url=server.url))
        assert (subject.name, subject.simulated) == ("openai:m", False)
        async with subject.connect() as model:
            for _ in range(3):
                reply = await model.ask(conversation, tools=DEFAULT_TOOLS)
                assert [call.name for call in reply.calls] == ["shell", "list_ports"]
                conversation.append(reply.message)
                conversation += [ToolMessage(f"r{call.id}", tool_call_id=call.id) for call in reply.calls]
                conversation.append(HumanMessage("Go on."))
    first, second, third = (request["messages"] for request in server.requests)
    assert [message["role"] for message in third] == ["system", *["user", "assistant"] * 2, "user"]
    assert third[: len(second)] == second
    assert second[: len(first)] == first
    assert "- http_request: " in first[0]["content"]
    assert first[1]["content"] == "Do.\n\nNow."
    assert second[3]["content"].startswith("Result:\nrtext_3_0\n\nResult:\nrtext_3_1\n\nGo on.")
    assert "tools" not in server.requests[0]


async def test_without_permission_to_call_text_stays_text() -> None:
    async with (
        serving(completion(block(LS))) as server,
        TextToolsSubject(subject=OpenAISubject(model="m", base_url=server.url)).connect() as model,
    ):
        planned = await model.ask([HumanMessage("Plan.")], tools=DEFAULT_TOOLS, tool_choice="none")
        without = await model.ask([HumanMessage("Plan.")], tools=())
    assert (planned.calls, planned.text) == ((), block(LS))
    assert without.calls == ()
