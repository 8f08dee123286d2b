"""What a faculty is given beside the state: the machine, the subject, the budget, the conversation."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from scaffold.bench import Bench
from scaffold.budget import Meter
from scaffold.conversation import Conversation
from scaffold.errors import BudgetSpent, ContextFull
from scaffold.events import Asked, FacultyEntered, LimitReached, Replied, ToolRan
from scaffold.types import Episode, FacultyUse, Reply, Stop, ToolOutcome, Update

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from environments import Environment
    from scaffold.events import Event
    from scaffold.oversight import Watch
    from scaffold.prompts import Prompt
    from scaffold.protocols import Model, Tool
    from scaffold.types import Budget, ToolCall

__all__ = ["Context"]


@dataclass(kw_only=True)
class Context:
    """One trial as its scaffold sees it."""

    env: Environment
    model: Model
    meter: Meter
    emit: Callable[[Event], None]
    seed: int
    conversation: Conversation = field(default_factory=Conversation)
    bench: Bench = field(default_factory=Bench)
    uses: dict[str, FacultyUse] = field(default_factory=dict)
    """What each faculty has used so far; readable also after a fault."""
    watch: Watch | None = None
    """Holds the trial and approves its calls; None where nobody oversees it."""
    witness: Callable[[ToolCall, ToolOutcome], Awaitable[None]] | None = None
    """Told of each call that ran, before the subject is given its answer."""
    _acting: str = field(default="", init=False)

    @classmethod
    def start(
        cls,
        *,
        env: Environment,
        model: Model,
        budget: Budget,
        emit: Callable[[Event], None] = lambda _: None,
        seed: int = 0,
    ) -> Context:
        """Begin a trial; the budget's clock starts now."""
        return cls(env=env, model=model, meter=Meter(budget), emit=emit, seed=seed)

    def open(self, *, system: str, instruction: str, tools: Sequence[Tool], faculties: Sequence[str]) -> None:
        """Begin the conversation. The tools stay the same to the end, so that prefixes do."""
        self.bench = Bench(tools)
        self.uses = {name: FacultyUse() for name in faculties}
        self.conversation.instruct(system)
        self.conversation.say(instruction)

    async def turn(
        self,
        faculty: str,
        prompt: Prompt | None = None,
        *,
        tool_choice: Literal["auto", "none"] = "auto",
    ) -> Reply:
        """Ask the subject; before that, say the prompt where another faculty had the turn before.

        Raises:
            BudgetSpent: nothing is left for another call, or the conversation has grown too long.
            ModelFailed: the subject's server gave no usable answer.
        """
        if self._acting != faculty:
            self._acting = faculty
            self._use(faculty, entered=1)
            self.emit(FacultyEntered(step=self.meter.steps, faculty=faculty))
            if prompt is not None:
                self.conversation.say(prompt.text)
        if self.watch is not None:
            await self.watch.before_turn()
        self.meter.before_call()
        step = self.meter.steps
        self.emit(Asked(step=step, faculty=faculty, added=self.conversation.added()))
        started = time.perf_counter()
        try:
            reply = await self.model.ask(
                self.conversation.messages, tools=self.bench.tools, tool_choice=tool_choice, seed=self.seed
            )
        except asyncio.CancelledError as end:
            self.meter.cut_off(end)
            raise
        except ContextFull as full:
            if self.meter.usage.calls:
                raise BudgetSpent("context") from full
            raise
        self.meter.spend(reply.usage)
        self.conversation.reply(reply.message)
        seconds = time.perf_counter() - started
        self._use(faculty, turns=1, tokens=reply.usage.tokens, seconds=seconds, tool_calls=len(reply.calls))
        self.emit(_replied(step, faculty, reply))
        self.bench.lay_out(reply.calls, runnable=tool_choice != "none")
        self._settle_unrunnable(reply.calls)
        return reply

    def _settle_unrunnable(self, calls: Sequence[ToolCall]) -> None:
        for index, outcome in self.bench.unrunnable():
            self._answer(index, calls[index], outcome, 0.0)

    async def run_tools(self, faculty: str, group: str) -> Update:
        """Run the laid-out calls of one group in order; whoever runs the last call settles them all.

        The answers join the conversation in the order of the calls, whichever group was faster.
        """
        busy = 0.0
        for index, call in self.bench.of_group(group):
            refusal = await self._refusal(call, faculty)
            started = time.perf_counter()
            outcome = refusal or await self.bench.run(call, self.env)
            took = time.perf_counter() - started
            busy += took
            self._answer(index, call, outcome, took)
            if self.witness is not None and refusal is None:
                await self.witness(call, outcome)
        self._use(faculty, seconds=busy)
        return self.settle()

    async def _refusal(self, call: ToolCall, faculty: str) -> ToolOutcome | None:
        """Return what the subject is told in place of the outcome where the call may not run."""
        if self.watch is None:
            return None
        decision = await self.watch.approve(call, faculty=faculty, messages=self.conversation.messages)
        if decision.verb == "allow":
            return None
        why = f": {decision.reason}" if decision.reason else "."
        return ToolOutcome(text=f"The call was not run: it was not approved{why}", failed=True)

    def _answer(self, index: int, call: ToolCall, outcome: ToolOutcome, seconds: float) -> None:
        self.bench.answer(index, outcome)
        self.emit(
            ToolRan(
                step=self.meter.steps,
                id=call.id,
                tool=call.name,
                arguments=dict(call.arguments),
                text=outcome.text,
                failed=outcome.failed,
                seconds=round(seconds, 6),
            )
        )

    def settle(self) -> Update:
        """Move the answers into the conversation once all calls have one; empty before that."""
        answered = self.bench.clear()
        if answered is None:
            return Update()
        for call, outcome in answered:
            self.conversation.answer(call.id, outcome.text)
        failure = next((outcome.text for _, outcome in answered if outcome.failed), None)
        return Update(pending=(), failure=failure)

    def _use(
        self,
        faculty: str,
        *,
        entered: int = 0,
        turns: int = 0,
        tool_calls: int = 0,
        tokens: int = 0,
        seconds: float = 0.0,
    ) -> None:
        use = self.uses.get(faculty, FacultyUse())
        self.uses[faculty] = replace(
            use,
            entered=use.entered + entered,
            turns=use.turns + turns,
            tool_calls=use.tool_calls + tool_calls,
            tokens=use.tokens + tokens,
            seconds=use.seconds + seconds,
        )

    @property
    def acted(self) -> bool:
        """Whether the subject has asked for any tool yet."""
        return any(use.tool_calls for use in self.uses.values())

    def episode(self, stop: Stop, *, limit: str | None = None, submission: str | None = None) -> Episode:
        """Sum the trial up."""
        if limit is not None:
            self.emit(LimitReached(step=self.meter.steps, limit=limit))
        return Episode(
            stop=stop,
            limit=limit,
            submission=submission,
            steps=self.meter.steps,
            usage=self.meter.usage,
            faculties=dict(self.uses),
        )


def _replied(step: int, faculty: str, reply: Reply) -> Replied:
    usage = reply.usage
    return Replied(
        step=step,
        faculty=faculty,
        text=reply.text,
        reasoning=str(reply.message.additional_kwargs.get("reasoning_content") or ""),
        calls=tuple({"id": c.id, "name": c.name, "arguments": dict(c.arguments)} for c in reply.calls),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        money=usage.money,
        seconds=round(reply.seconds, 6),
        attempts=reply.attempts,
    )
