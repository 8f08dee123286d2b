"""The conversation that a request held, rebuilt from what the record says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Retelling", "conversation_at", "digest_of"]


def conversation_at(
    events: Iterable[Mapping[str, Any]], step: int, *, generation: int = 0
) -> list[BaseMessage]:
    """Return the messages of the request of one step, as they were sent.

    Args:
        events: of a trial, in order: each with its `kind` and its fields, as they stand in a log.
        step: number of the request.
        generation: whose.

    Raises:
        ValueError: that generation's scaffold sent no such request.
    """
    telling = Retelling()
    for event in events:
        if event.get("generation", 0) != generation:
            continue
        telling.take(event)
        if event["kind"] == "asked" and event["step"] == step:
            return list(telling.sent)
    raise ValueError(f"there is no request with the number {step} on this record")


def digest_of(messages: Iterable[BaseMessage]) -> str:
    """Return a digest over what messages say: roles, texts, calls and what they answer."""
    told = [
        [
            message.type,
            str(message.text),
            [[call["id"], call["name"]] for call in getattr(message, "tool_calls", ())],
            getattr(message, "tool_call_id", None),
        ]
        for message in messages
    ]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:16]


class Retelling:
    """The conversation of one loop, followed from event to event."""

    def __init__(self) -> None:
        self.messages: list[BaseMessage] = []
        """As it stands."""
        self.sent: Sequence[BaseMessage] = ()
        """The latest request."""
        self._calls: list[Mapping[str, Any]] = []
        self._answers: dict[int, str] = {}
        self._beside = False
        self._note_at: int | None = None
        """Where the note belongs that the next request tells, in a conversation that began anew."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in the next event; those that say nothing about the conversation pass."""
        match event["kind"]:
            case "asked":
                self._asked(event)
            case "replied" if not self._beside:
                self._settle()
                self._calls = list(event["calls"])
                self.messages.append(_answer(event["text"], self._calls))
            case "tool":
                self._ran(event)
            case "compacted":
                self._settle()
                self.messages += [_instruction(message) for message in event["added"]]
                del self.messages[event["head"] : event["head"] + event["dropped"]]
                self._note_at = event["head"]

    def _asked(self, event: Mapping[str, Any]) -> None:
        self._settle()
        added = [_instruction(message) for message in event["added"]]
        if self._note_at is not None:
            self.messages.insert(self._note_at, added.pop(0))
            self._note_at = None
        upto = event.get("beside")
        self._beside = upto is not None
        question = [] if upto is None else [added.pop()]
        self.messages += added
        self.sent = [*self.messages[:upto], *question]

    def _ran(self, event: Mapping[str, Any]) -> None:
        """Know an answer by its call; answers stand in the order of the calls, whichever came first."""
        asked = (event["id"], event["tool"], event["arguments"])
        for index, call in enumerate(self._calls):
            if index not in self._answers and (call["id"], call["name"], call["arguments"]) == asked:
                self._answers[index] = event["text"]
                return

    def _settle(self) -> None:
        for index in sorted(self._answers):
            text, call_id = self._answers[index], self._calls[index]["id"]
            self.messages.append(ToolMessage(content=text, tool_call_id=call_id))
        self._calls, self._answers = [], {}


def _instruction(message: Mapping[str, str]) -> BaseMessage:
    kind = SystemMessage if message["role"] == "system" else HumanMessage
    return kind(content=message["content"])


def _answer(text: str, calls: Sequence[Mapping[str, Any]]) -> AIMessage:
    return AIMessage(
        content=text,
        tool_calls=[
            tool_call(id=call["id"], name=call["name"], args=dict(call["arguments"]))
            for call in calls
            if not call.get("problem")
        ],
        invalid_tool_calls=[
            invalid_tool_call(id=call["id"], name=call["name"], args="", error=call["problem"])
            for call in calls
            if call.get("problem")
        ],
    )
