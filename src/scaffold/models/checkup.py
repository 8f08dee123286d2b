"""What a subject's server can do, found out by asking it: before a study depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from scaffold.errors import ModelFailed
from scaffold.models.window import window_of
from scaffold.tools import FunctionTool
from scaffold.types import ToolOutcome

if TYPE_CHECKING:
    from environments import Environment
    from scaffold.protocols import Model, Subject
    from scaffold.types import Reply

__all__ = ["Checkup", "Seeds", "check_up"]

Seeds = Literal["kept", "ignored", "refused", "not told apart"]
"""Whether the same seed gives the same answer and another seed another one; `refused` where a seed is an
error, `not told apart` where the answer is the same whatever the seed."""

ATTENTIVE = SystemMessage("Answer exactly what is asked, in as few words as you can.")
DIGITS = HumanMessage("Write thirty digits in an order as random as you can, and nothing else.")
CALLS = HumanMessage("Call the tool `note` twice in one answer: with the word one, and with the word two.")


class NoteArguments(BaseModel):
    """Arguments of `note`."""

    word: Literal["one", "two"] = Field(description="What to note.")


async def _never(arguments: NoteArguments, _: Environment) -> ToolOutcome:
    return ToolOutcome(text=arguments.word)


NOTE = FunctionTool(
    name="note", group="shell", description="Note a word.", arguments=NoteArguments, function=_never
)


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What was found by four or five calls."""

    seconds: float
    """Until the first answer."""
    tokens_per_second: float
    """Of the answers that took longest, their waits included."""
    served: str
    """The model that answered, by the server's word; empty where it does not say."""
    usage: bool
    """It reports the tokens it used."""
    cached: bool
    """Its reports told of prompt tokens that it had in its prefix cache."""
    seeds: Seeds
    window: int | None
    """Tokens it takes at once; None where nobody says so."""
    calls: int
    """Calls that it made in one answer when it was asked for two; 0 for none that could be run."""
    calls_fault: str = ""
    """Why there was none: the server's word, or what was wrong with the call."""

    @property
    def line(self) -> str:
        """All of it in one line."""
        answers = f"answers in {self.seconds:.2g} s, {self.tokens_per_second:.0f} tokens a second"
        return "; ".join(
            (
                f"{answers} (as {self.served})" if self.served else answers,
                ("calls no tools", "calls tools, one at a time", "calls tools, several at once")[
                    min(self.calls, 2)
                ]
                + (f": {self.calls_fault}" if self.calls_fault else ""),
                {
                    "kept": "keeps seeds",
                    "ignored": "ignores seeds",
                    "refused": "refuses seeds",
                    "not told apart": "the same whatever the seed",
                }[self.seeds],
                _usage(usage=self.usage, cached=self.cached),
                f"takes {self.window:,} tokens at once"
                if self.window
                else "does not say its window (--context-window)",
            )
        )

    @property
    def mends(self) -> tuple[str, ...]:
        """What to set so that a study can be run all the same."""
        return (
            *(["--tools text"] if not self.calls else []),
            *(["--set seeded=false"] if self.seeds == "refused" else []),
        )


def _usage(*, usage: bool, cached: bool) -> str:
    if not usage:
        return "reports no usage: tokens will be estimated"
    return "reports usage, cached tokens apart" if cached else "reports usage"


async def check_up(subject: Subject) -> Checkup:
    """Ask a subject a few things, one after the other.

    Raises:
        ModelFailed: it gives no usable answer at all.
        ValueError: it cannot be connected as it is set.
    """
    async with subject.connect() as model:
        first = await model.ask([ATTENTIVE, HumanMessage("Answer with the word ready.")], tools=())
        seeds, replies = await _seeds(model)
        calling, fault = await _calls(model)
        window = await window_of(model)
    replies = [first, *replies, *([calling] if calling else [])]
    longest = max(replies, key=lambda reply: reply.usage.completion_tokens)
    return Checkup(
        seconds=first.seconds,
        tokens_per_second=longest.usage.completion_tokens / max(longest.seconds, 1e-6),
        served=first.served,
        usage=not any(reply.usage.estimated for reply in replies),
        cached=any(reply.usage.cached_tokens for reply in replies),
        seeds=seeds,
        window=window.tokens,
        calls=sum(call.problem is None for call in calling.calls) if calling else 0,
        calls_fault=fault,
    )


async def _seeds(model: Model) -> tuple[Seeds, list[Reply]]:
    replies: list[Reply] = []
    try:
        replies = [await model.ask([ATTENTIVE, DIGITS], tools=(), seed=seed) for seed in (1, 1, 2)]
    except ModelFailed:
        return "refused", replies
    one, again, other = (reply.text for reply in replies)
    if one != again:
        return "ignored", replies
    return ("kept" if one != other else "not told apart"), replies


async def _calls(model: Model) -> tuple[Reply | None, str]:
    try:
        reply = await model.ask([ATTENTIVE, CALLS], tools=[NOTE])
    except ModelFailed as fault:
        return None, fault.cause
    problem = next((call.problem for call in reply.calls if call.problem), "")
    return reply, problem or ""
