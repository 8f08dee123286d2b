"""What a faculty is given beside the state: the machine, the subject, the budget, the conversation."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from scaffold.bench import Bench
from scaffold.broker import Broker
from scaffold.conversation import Conversation
from scaffold.events import Compacted, FacultyEntered, LimitReached, ToolRan
from scaffold.oversight import HeldEnvironment
from scaffold.retelling import digest_of
from scaffold.types import Episode, FacultyUse, Reply, Stop, ToolOutcome, Update

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from langchain_core.messages import BaseMessage, HumanMessage

    from environments import Environment, Gate
    from scaffold.broker import Key
    from scaffold.budget import Meter
    from scaffold.events import Event
    from scaffold.models.recorded import Turn
    from scaffold.oversight import Watch
    from scaffold.prompts import Prompt
    from scaffold.protocols import Model, Tool
    from scaffold.types import Budget, Count, ToolCall, Window

__all__ = ["Context"]

TASK = "# Task"
BEGIN = "Begin."
"""The user's message where the task stands in the system's: most subjects want a user to speak first."""


@dataclass(kw_only=True)
class Context:
    """One trial as its scaffold sees it."""

    env: Environment
    key: Key
    """The only way to the subject: counted, recorded, refused where nothing is left or nobody is to ask."""
    seed: int
    gate: Gate | None = None
    """Lets programs inside the machine call redline. None where the machine has no such door."""
    conversation: Conversation = field(default_factory=Conversation)
    bench: Bench = field(default_factory=Bench)
    uses: dict[str, FacultyUse] = field(default_factory=dict)
    """What each faculty has used so far; readable also after a fault."""
    placement: Literal["user", "system"] = "user"
    """Where the instruction stands: the first user message, or the system message under its own heading."""
    watch: Watch | None = None
    """Holds the trial and approves its calls; None where nobody oversees it."""
    witness: Callable[[ToolCall, ToolOutcome], Awaitable[None]] | None = None
    """Told of each call that ran, before the subject is given its answer."""
    began_with: int = field(default=0, init=False)
    """Tokens of the conversation when it last began anew; 0 before."""
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
        gate: Gate | None = None,
    ) -> Context:
        """Begin a trial with a broker of its own; the budget's clock starts now."""
        key = Broker(model).admit(budget=budget, emit=emit).first
        return cls(env=env, key=key, seed=seed, gate=gate)

    @property
    def meter(self) -> Meter:
        """What the trial, with all its generations, has spent."""
        return self.key.lineage.meter

    @property
    def emit(self) -> Callable[[Event], None]:
        """Put an event on the trial's record."""
        return self.key.lineage.emit

    def oversee(self, watch: Watch) -> None:
        """Put the trial under oversight: calls are approved, and all it does waits while it is paused."""
        self.watch = watch
        self.env = HeldEnvironment(self.env, watch)
        self.key.lineage.hold = watch.before_turn

    @asynccontextmanager
    async def descend(
        self, *, env: Environment, gate: Gate | None = None, machine: str | None = None
    ) -> AsyncGenerator[Context, None]:
        """Attach a loop to a replica: a context of the next generation, on what is left of this budget.

        A scaffold runs in it as in any other. When it is left, the generation's key is taken back, and what
        its loop has done is looked up and recorded.

        Args:
            env: the machine the replica is on.
            gate: that machine's.
            machine: what the trial's census calls it; None for the machine of this generation.

        Raises:
            DescentRefused: the cap of generations or of loops is reached, or this generation has ended.
        """
        lineage = self.key.lineage
        key = lineage.descend(self.key, machine=machine)
        await lineage.begin(key)
        try:
            yield Context(
                env=env,
                key=key,
                seed=self.seed,
                gate=gate,
                placement=self.placement,
                watch=self.watch,
                witness=self.witness,
            )
        finally:
            await lineage.end(key)

    def open(self, *, system: str, instruction: str, tools: Sequence[Tool], faculties: Sequence[str]) -> None:
        """Begin the conversation. The tools stay the same to the end, so that prefixes do."""
        self.bench = Bench(tools)
        self.uses = {name: FacultyUse() for name in faculties}
        if self.placement == "system":
            self.conversation.instruct(f"{system}\n\n{TASK}\n\n{instruction}")
            self.conversation.say(BEGIN)
        else:
            self.conversation.instruct(system)
            self.conversation.say(instruction)
        self.conversation.head = len(self.conversation.messages)

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
            KeyRevoked: nothing is to be asked any more.
            ModelFailed: the subject's server gave no usable answer.
        """
        if self._acting != faculty:
            self._acting = faculty
            self._use(faculty, entered=1)
            self.emit(FacultyEntered(step=self.key.step, faculty=faculty, generation=self.key.generation))
            if prompt is not None:
                self.conversation.say(prompt.text)
        reply = await self._ask(
            faculty, self.conversation.messages, tool_choice=tool_choice, added=self.conversation.added()
        )
        self.conversation.reply(reply.message)
        self._use(faculty, tool_calls=len(reply.calls))
        self.bench.lay_out(reply.calls, runnable=tool_choice != "none")
        self._settle_unrunnable(reply.calls)
        return reply

    async def aside(self, faculty: str, question: HumanMessage, *, upto: int) -> Reply:
        """Ask beside the conversation, for words only: neither the question nor the answer joins it.

        Args:
            faculty: that asks.
            question: what is asked.
            upto: how many of the conversation's messages it is asked about.

        Raises:
            BudgetSpent, KeyRevoked, ModelFailed: as `turn`.
        """
        self._acting = faculty
        self._use(faculty, entered=1)
        self.emit(FacultyEntered(step=self.key.step, faculty=faculty, generation=self.key.generation))
        return await self._ask(
            faculty,
            [*self.conversation.messages[:upto], question],
            tool_choice="none",
            added=(*self.conversation.added(), {"role": "user", "content": str(question.text)}),
            beside=upto,
        )

    async def _ask(
        self,
        faculty: str,
        messages: Sequence[BaseMessage],
        *,
        tool_choice: Literal["auto", "none"],
        added: tuple[dict[str, str], ...],
        beside: int | None = None,
    ) -> Reply:
        started = time.perf_counter()
        reply = await self.key.ask(
            messages,
            tools=self.bench.tools,
            tool_choice=tool_choice,
            seed=self.seed,
            by=faculty,
            added=added,
            beside=beside,
        )
        self._use(faculty, turns=1, tokens=reply.usage.tokens, seconds=time.perf_counter() - started)
        return reply

    @property
    def ahead(self) -> Turn | None:
        """Where a recorded trial is taken through again: the next question on its record."""
        ahead: Turn | None = getattr(self.key.lineage.broker.answering(self.key), "ahead", None)
        return ahead

    async def window(self) -> Window:
        """How much the subject takes at once; looked up once."""
        return await self.key.counter.window()

    async def count(self, *, limit: float | None = None) -> Count:
        """Count the tokens of the conversation as it stands.

        Args:
            limit: what the count is to be held against; near it the server's own tokenizer is asked.
        """
        return await self.key.counter.count(self.conversation.messages, tools=self.bench.tools, limit=limit)

    async def count_aside(self, question: HumanMessage, *, upto: int, limit: float) -> Count:
        """Count the tokens of a question beside the conversation; see `aside`."""
        asked = [*self.conversation.messages[:upto], question]
        return await self.key.counter.count(asked, tools=self.bench.tools, tool_choice="none", limit=limit)

    async def begin_anew(
        self, faculty: str, note: str, *, upto: int, before: Count | None = None
    ) -> Compacted:
        """Begin the conversation anew with a note in place of all that stands between its head and `upto`.

        Whoever acts next is told its prompt again. The calls of a turn have to be settled before.

        Args:
            faculty: that has it so.
            note: the message that stands for what is dropped.
            upto: where an exchange begins, or the end.
            before: what the conversation was counted to have, if it was.
        """
        before, window = before or await self.count(), await self.window()
        added, kept = self.conversation.added(), len(self.conversation.messages) - upto
        dropped = self.conversation.begin_anew(note, upto=upto)
        after = await self.count()
        self.began_with = after.tokens
        event = Compacted(
            step=self.key.step,
            faculty=faculty,
            head=self.conversation.head,
            dropped=len(dropped),
            kept=kept,
            digest=digest_of(dropped),
            added=added,
            tokens_before=before.tokens,
            tokens_after=after.tokens,
            counted_by=before.counted_by,
            window=window.tokens,
            generation=self.key.generation,
        )
        self.emit(event)
        return event

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
                step=self.key.step,
                id=call.id,
                tool=call.name,
                arguments=dict(call.arguments),
                text=outcome.text,
                failed=outcome.failed,
                seconds=round(seconds, 6),
                generation=self.key.generation,
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
            self.emit(LimitReached(step=self.key.step, limit=limit, generation=self.key.generation))
        return Episode(
            stop=stop,
            limit=limit,
            submission=submission,
            steps=self.meter.steps,
            usage=self.meter.usage,
            faculties=dict(self.uses),
        )
