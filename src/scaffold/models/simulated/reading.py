"""A chat-completions request, read as what has happened so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from scaffold.models.simulated.acts import Act
from scaffold.models.simulated.notes import remembered
from scaffold.models.text_calls import parse_calls
from scaffold.models.text_tools import HOW_TO_CALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaffold.models.transport import Buffer

__all__ = ["GARBLED", "Act", "View", "read"]

PHASE = re.compile(r"^# (Explore|Plan|Execute|Repair|Memory)\s*$", re.MULTILINE)
NOTE = re.compile(r"^# Note\s*$(.*)", re.MULTILINE | re.DOTALL)
"""Under this heading the subject is given what it wrote before the conversation began anew."""
TASK = re.compile(r"^# Task\s*$(.*)", re.MULTILINE | re.DOTALL)
"""What follows this heading in the system message is the instruction."""
SAID = re.compile(r"^(?P<intent>\w+): (?P<detail>.*?)(?: \(again: (?P<again>.*)\))?$")
RESULT = re.compile(r"(?:\A|\n\n)Result:\n")
GARBLED = "malformed"
"""The argument under which the client hands back a call that it could not parse."""


@dataclass(kw_only=True)
class View:
    """Everything the subject can know: nothing but what stands in the request."""

    seed: int
    tools: frozenset[str]
    may_call: bool
    text_tools: bool
    instruction: str = ""
    acts: list[Act] = field(default_factory=list)
    answers: int = 0
    phase: str = ""
    """The heading of the latest prompt that has one, in lower case."""
    phases: list[str] = field(default_factory=list)
    """As they took over from each other; one that is prompted for again goes on."""
    turns: int = 0
    """Answers since that prompt."""
    plan: str | None = None
    note: str = ""
    """What it wrote down before the conversation began anew."""


def read(body: Buffer) -> View:
    """Read a request.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is none.
    """
    request = orjson.loads(body)
    messages = request["messages"]
    system = next((_text(m) for m in messages if m["role"] in {"system", "developer"}), "")
    described = re.findall(r"^- (\w+): ", system, re.MULTILINE) if "```tool" in system else []
    offered = [tool["function"]["name"] for tool in request.get("tools") or ()]
    view = View(
        seed=int(request.get("seed") or 0),
        tools=frozenset(offered or described),
        may_call=request.get("tool_choice") != "none",
        text_tools=bool(described) and not offered,
    )
    if task := TASK.search(system.partition(HOW_TO_CALL)[0]):
        view.instruction = task[1].strip()
    awaiting: dict[str, Act] = {}
    for message in messages:
        match message["role"]:
            case "user":
                _hear(view, _text(message), list(awaiting.values()))
            case "assistant":
                awaiting = _remember(view, message)
            case "tool" if message["tool_call_id"] in awaiting:
                awaiting[message["tool_call_id"]].result = _text(message)
    return view


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


def _hear(view: View, text: str, awaiting: list[Act]) -> None:
    # Where tools are called in text, a scaffold's prompts stand in one message with what was said before.
    said = PHASE.split(text)[0]
    if not view.instruction:
        view.instruction = NOTE.split(said)[0]
    if note := NOTE.search(said):
        view.note = note[1].strip()
        _recall(view)
    if view.text_tools:
        for act, result in zip(awaiting, RESULT.split(said)[1:], strict=False):
            act.result = result
    for heading in PHASE.findall(text):
        if heading.lower() != view.phase:
            view.phase = heading.lower()
            view.phases.append(view.phase)
            view.turns = 0


def _recall(view: View) -> None:
    """Go on from what was noted, as if nothing had been left out."""
    if (known := remembered(view.note)) is not None:
        view.acts, view.answers, view.plan = known.acts, known.answers, known.plan
        view.phases, view.phase = known.phases, next(reversed(known.phases), "")


def _remember(view: View, message: Mapping[str, Any]) -> dict[str, Act]:
    text = _text(message)
    view.answers += 1
    view.turns += 1
    if view.phase == "plan":
        view.plan = text
    said = SAID.match(text.partition("\n")[0])
    acts = {}
    for call_id, tool, arguments in _calls(view, message, text):
        acts[call_id] = Act(
            intent=said["intent"] if said else "",
            detail=said["detail"] if said else "",
            again=said["again"] if said else None,
            tool=tool,
            arguments=arguments,
            phase=len(view.phases),
        )
    view.acts.extend(act for act in acts.values() if GARBLED not in act.arguments)
    return acts


def _calls(view: View, message: Mapping[str, Any], text: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    if view.text_tools:
        return [
            (call.id, call.name, {GARBLED: call.problem} if call.problem else call.arguments)
            for call in parse_calls(text, prefix="text")
        ]
    return [
        (call["id"], call["function"]["name"], orjson.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
