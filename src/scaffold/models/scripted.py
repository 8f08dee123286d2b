"""A subject that says what it was told to say: for tests, examples and benchmarks of one's own scaffold."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import AIMessage

from scaffold.types import Reply, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.protocols import Tool

__all__ = ["Scripted", "call"]


def call(name: str, **arguments: Any) -> tuple[str, Mapping[str, Any]]:
    """Return one tool call of a script."""
    return name, arguments


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """Subject and connected model in one. Each reply is a text, or a list of `call(...)`.

    The reply is chosen by how often the subject has spoken in the conversation, so one script serves any
    number of trials at once; after the last it says nothing.
    """

    replies: Sequence[str | Sequence[tuple[str, Mapping[str, Any]]]]
    name: str = "scripted"
    simulated: bool = True

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Scripted, None]:
        """Nothing to connect to."""
        yield self

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer with the next line of the script."""
        del tools, tool_choice, seed
        spoken = sum(isinstance(message, AIMessage) for message in messages)
        line = self.replies[spoken] if spoken < len(self.replies) else ""
        usage = Usage(calls=1, prompt_tokens=10 * len(messages), completion_tokens=10)
        if isinstance(line, str):
            return Reply(message=AIMessage(content=line), text=line, calls=(), usage=usage)
        calls = tuple(
            ToolCall(id=f"call_{spoken}_{index}", name=name, arguments=arguments)
            for index, (name, arguments) in enumerate(line)
        )
        asked = [{"id": c.id, "name": c.name, "args": dict(c.arguments)} for c in calls]
        return Reply(message=AIMessage(content="", tool_calls=asked), text="", calls=calls, usage=usage)
