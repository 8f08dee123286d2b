"""The messages between scaffold and subject: they are only ever added to.

A request repeats the one before it exactly and appends, so a serving engine's prefix cache never misses.
The conversation lives beside LangGraph's state and is never copied through it. Where it outgrows what the
subject can take, it begins anew, once and explicitly: then it has another segment, and the list of the one
before stays as it was for whoever holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Conversation"]


class Conversation:
    """An append-only list of messages, in one segment or more."""

    def __init__(self) -> None:
        self._messages: list[BaseMessage] = []
        self._added: list[dict[str, str]] = []
        self.head = 0
        """Messages in front that every segment begins with: who the subject is, and its task."""
        self.replies = 0
        """Answers of the subject in this segment, those that were kept left out."""

    @property
    def messages(self) -> Sequence[BaseMessage]:
        """Everything of this segment, oldest first. Not a copy: read it, do not change it."""
        return self._messages

    def instruct(self, text: str) -> None:
        """Add a system message."""
        self._messages.append(SystemMessage(content=text))
        self._added.append({"role": "system", "content": text})

    def say(self, text: str) -> None:
        """Add a message to the subject."""
        self._messages.append(HumanMessage(content=text))
        self._added.append({"role": "user", "content": text})

    def reply(self, message: AIMessage) -> None:
        """Add what the subject answered."""
        self._messages.append(message)
        self.replies += 1

    def answer(self, call_id: str, text: str) -> None:
        """Add a tool's answer to one of the subject's calls."""
        self._messages.append(ToolMessage(content=text, tool_call_id=call_id))

    def added(self) -> tuple[dict[str, str], ...]:
        """Return the instructions added since this was last asked."""
        added, self._added = tuple(self._added), []
        return added

    def exchanges(self) -> list[int]:
        """Return where each answer of the subject stands: an exchange goes from there to the next."""
        return [index for index, message in enumerate(self._messages) if isinstance(message, AIMessage)]

    def begin_anew(self, note: str, *, upto: int) -> tuple[BaseMessage, ...]:
        """Go on with the head, a note, and what stands from `upto` on, which is the beginning of an exchange.

        Returns:
            What is left out.
        """
        before, dropped, kept = (
            self._messages[: self.head],
            self._messages[self.head : upto],
            self._messages[upto:],
        )
        self._messages = before
        self.say(note)
        self._messages += kept
        self.replies = 0
        return tuple(dropped)
