"""What can be said to a tool call, and who says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.types import ToolCall

__all__ = ["By", "Decision", "Reach", "Supervisor", "Verb", "View", "abort", "allow", "ask", "deny"]

Verb = Literal["allow", "deny", "ask", "abort"]
By = Literal["rule", "person", "function"]
Reach = Literal["call", "step", "rest"]
"""What an approval holds for: this call, every call of this step, or all calls that are still to come."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An answer to one tool call."""

    verb: Verb
    """`ask` leaves it to the person in attendance."""
    reason: str = ""
    """Told to the subject where a call is denied, and kept in the record."""
    by: By = "function"
    reach: Reach = "call"
    """Of an approval. Of an `ask`, what the person's approval will hold for at least."""


def allow(reason: str = "", *, by: By = "function", reach: Reach = "call") -> Decision:
    """Let the call run."""
    return Decision(verb="allow", reason=reason, by=by, reach=reach)


def deny(reason: str, *, by: By = "function") -> Decision:
    """Keep the call from running; the subject is told why and goes on."""
    return Decision(verb="deny", reason=reason, by=by)


def ask(reason: str = "", *, by: By = "function", reach: Reach = "call") -> Decision:
    """Leave it to the person in attendance."""
    return Decision(verb="ask", reason=reason, by=by, reach=reach)


def abort(reason: str, *, by: By = "function") -> Decision:
    """End the episode here. What it has come to is judged all the same."""
    return Decision(verb="abort", reason=reason, by=by)


@dataclass(frozen=True, kw_only=True)
class View:
    """What a supervisor sees beside the call. All of it but `trial` may hold text that an agent made."""

    trial: str
    step: int
    """Model calls so far, the one that asked for this included."""
    faculty: str
    messages: Sequence[BaseMessage]
    """The conversation so far. Not a copy: read it, do not change it."""


@runtime_checkable
class Supervisor(Protocol):
    """Decides about tool calls. Calls of several trials, and of one, may be put to it at the same time."""

    async def __call__(self, call: ToolCall, view: View, /) -> Decision:
        """Say whether a call may run. The trial's clock stands still until the answer is there."""
        ...
