"""Values that pass between the parts of a scaffold.

The state that LangGraph carries stays small: the conversation lives beside it, in the `Context`, so
that a step costs the same at any length.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages import AIMessage

__all__ = [
    "Budget",
    "Count",
    "CountedBy",
    "Episode",
    "FacultyUse",
    "Relayed",
    "Reply",
    "State",
    "Stop",
    "ToolCall",
    "ToolOutcome",
    "Update",
    "Usage",
    "Window",
]

CountedBy = Literal["server", "usage", "tokenizer", "bytes"]
"""The server's own tokenizer; the usage it reported for what was sent before, and an estimate of what was
added since; a tokenizer that the user gave; four bytes a token."""

Stop = Literal["finished", "stalled", "refused", "limit", "aborted", "canary"]
"""How an episode ended: the agent said it was done, it stopped acting, it declined, a budget ran out, a
supervisor ended it, it ended because something without a use was touched."""


class Budget(BaseModel):
    """What one trial may spend. None means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=40, ge=1)
    """Model calls."""
    tokens: int | None = Field(default=None, ge=1)
    """Prompt and completion tokens together."""
    seconds: float = Field(default=600.0, gt=0)
    """Wall time of the episode."""
    money: float | None = Field(default=None, gt=0)
    """In the currency of the subject's prices."""
    generations: int = Field(default=2, ge=0, le=5)
    """How many may follow the trial's own agent, each on what is left of this budget."""
    population: int = Field(default=4, ge=1, le=16)
    """Loops of all generations together, the trial's own agent included."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was spent; addable."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of `prompt_tokens` that the server had in its prefix cache."""
    money: float = 0.0
    estimated: bool = False
    """Some server reported no usage, so tokens were estimated from bytes."""
    from_cache: int = 0
    """Part of `calls` that was answered before, so that nobody was asked."""
    tokens_from_cache: int = 0
    """Part of `tokens` in those answers: budgets count them, nobody is paid for them."""
    money_spared: float = 0.0
    """What those answers would have cost; no part of `money`."""

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            money=self.money + other.money,
            estimated=self.estimated or other.estimated,
            from_cache=self.from_cache + other.from_cache,
            tokens_from_cache=self.tokens_from_cache + other.tokens_from_cache,
            money_spared=self.money_spared + other.money_spared,
        )

    @property
    def worth(self) -> float:
        """What was spent, and what would have been without answers that were there before.

        Budgets go by it: a trial ends at the same step whether its answers were paid for or not.
        """
        return self.money + self.money_spared

    def spared(self) -> Usage:
        """Return the usage of the same answers where nobody is asked for them."""
        return replace(
            self, money=0.0, money_spared=self.worth, from_cache=self.calls, tokens_from_cache=self.tokens
        )


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many tokens a request has, before it is sent."""

    tokens: int
    counted_by: CountedBy
    estimated: int = 0
    """Part of them that nobody counted."""


_LONGEST_ANSWER = 1024


@dataclass(frozen=True, kw_only=True)
class Window:
    """How many tokens a subject takes at once, its answer among them."""

    tokens: int | None = None
    """None where nobody says."""
    said_by: str = ""
    """Who says it, to be read after `by`: the setting, the server, a table."""
    answer: int | None = None
    """Longest answer that is asked for; None where the server decides."""

    @property
    def reserve(self) -> int:
        """What is left free for the answer."""
        if self.answer is not None or self.tokens is None:
            return self.answer or 0
        return min(_LONGEST_ANSWER, self.tokens // 8)

    @property
    def room(self) -> int | None:
        """What is there for a request."""
        return None if self.tokens is None else self.tokens - self.reserve


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """One call a subject asked for."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str | None = None
    """Why the call cannot be run as asked (its arguments were not JSON); told to the subject."""


@dataclass(frozen=True, kw_only=True)
class ToolOutcome:
    """What a tool answers: text for the subject, and whether the subject should call it a failure."""

    text: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of a subject."""

    message: AIMessage
    """As it is appended to the conversation."""
    text: str
    calls: tuple[ToolCall, ...]
    usage: Usage
    refused: bool = False
    seconds: float = 0.0
    attempts: int = 1
    reasoning: str = ""
    """What it thought before it answered, where the server tells; never part of the conversation."""
    finish: str = ""
    """Why it stopped, in the server's word: stop, tool_calls, length, content_filter."""
    served: str = ""
    """The model that answered, by the server's word."""
    first_s: float | None = None
    """From the last attempt's beginning to the first piece of its answer, where that came in pieces."""
    from_cache: bool = False
    """It was answered before, and nobody was asked."""


@dataclass(frozen=True, kw_only=True)
class Relayed(Reply):
    """An answer to a program that spoke to the subject itself, in the protocol's own form as well."""

    answer: dict[str, Any]
    """A `chat.completion` object, as the subject's server sent it."""


@dataclass(frozen=True, kw_only=True)
class FacultyUse:
    """Manipulation check: whether a faculty fired, and how much of the budget it ate."""

    entered: int = 0
    turns: int = 0
    tool_calls: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What one run of a scaffold came to. Whether it succeeded is not for the scaffold to say."""

    stop: Stop
    limit: str | None = None
    """Which budget ran out, where `stop` is `limit`."""
    submission: str | None = None
    """The agent's closing statement."""
    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    faculties: Mapping[str, FacultyUse] = field(default_factory=dict)


class State(TypedDict):
    """What the state machine decides by."""

    phase: str
    """The faculty that acts; empty at the start."""
    turns: int
    """Turns the faculty has taken since it was entered."""
    pending: tuple[str, ...]
    """Tool groups with calls still to be run."""
    failure: str | None
    """What the latest tool calls ran into; None when they went well."""
    failures: int
    """How many turns in a row ended in a failure."""
    stalls: int
    """Turns in a row in which the faculty neither acted nor concluded."""
    hand_over: str | None
    """The faculty that should act next; None to go on with this one."""
    done: bool
    """The episode is over; `stop` and `submission` say how."""
    stop: Stop
    submission: str | None


class Update(TypedDict, total=False):
    """The part of the state that a node changes."""

    phase: str
    turns: int
    pending: tuple[str, ...]
    failure: str | None
    failures: int
    stalls: int
    hand_over: str | None
    done: bool
    stop: Stop
    submission: str | None
