"""A subject that decides again what it decided then, and asks nobody."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from langchain_core.messages import AIMessage, SystemMessage, ToolMessage

from scaffold.broker.hearing import Hearing
from scaffold.errors import BudgetSpent, EpisodeEnded
from scaffold.models.conversion import answer_from, message_of, relayed
from scaffold.models.price import FREE, Price
from scaffold.models.recorded.likeness import Renaming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.models.recorded.recording import Answered, Recording, Turn
    from scaffold.protocols import Tool
    from scaffold.types import Relayed, Reply

__all__ = ["Recorded", "RecordedModel"]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Stands where a trial's subject stood, and answers as that one did.

    What the subject had read of values that are new in every trial (keys, nonces) is put into its decisions
    as it reads now; with `exact` they are given back as they were, to the byte.
    """

    of: str
    """The subject's name then."""
    simulated: bool
    source: str
    """Head of the log that the recording is from."""
    recording: Recording = field(repr=False)
    exact: bool = False
    stop: bool = False
    """The episode ends where the machine first answers something else."""
    renaming: Renaming = field(default_factory=Renaming, repr=False)
    price: Price = field(default=FREE, init=False, repr=False)
    """Nobody is asked."""

    @property
    def name(self) -> str:
        """The subject's name, marked."""
        return f"recorded:{self.of}"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RecordedModel]:
        """Nothing to connect to."""
        yield RecordedModel(subject=self)


@dataclass(kw_only=True)
class RecordedModel:
    """The recording at work. Each generation has its own place in it."""

    subject: Recorded
    _loops: dict[int, _Loop] = field(default_factory=dict, init=False, repr=False)

    def of_generation(self, number: int) -> _Loop:
        """Return what answers one generation's loop."""
        if number not in self._loops:
            self._loops[number] = _Loop(self.subject, number)
        return self._loops[number]

    @property
    def serves(self) -> str:
        """What programs inside called the model."""
        return self.of_generation(0).serves

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer the trial's own agent; see `of_generation` for the others."""
        return await self.of_generation(0).ask(messages, tools=tools, tool_choice=tool_choice, seed=seed)

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a program of the trial's own agent."""
        return await self.of_generation(0).relay(request, seed=seed)


class _Loop:
    """One generation's answers, in order."""

    def __init__(self, subject: Recorded, generation: int) -> None:
        self._subject = subject
        self._turns = subject.recording.of_generation(generation)
        self._next = 0
        self._seen: dict[int, BaseMessage] = {}
        """What was heard before, by identity: a conversation that begins anew keeps some of it."""
        self._said: AIMessage | None = None
        self._unheard: Sequence[Answered] = ()
        """Of the calls of the latest turn in the conversation."""
        self._hearing = Hearing()

    @property
    def ahead(self) -> Turn | None:
        """The next question on record; memory asks when it asked then, and about as much."""
        return self._turns[self._next] if self._next < len(self._turns) else None

    @property
    def serves(self) -> str:
        """What a program inside called the model."""
        named = (turn.serves for turn in self._turns if turn.serves)
        return next(named, self._subject.of.partition(":")[2] or self._subject.of)

    async def ask(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Tool],
        tool_choice: Literal["auto", "none"] = "auto",
        seed: int | None = None,
    ) -> Reply:
        """Answer as then, once what is new in the conversation was heard.

        Raises:
            BudgetSpent: the recording ends here, because that budget was spent.
            EpisodeEnded: it ends here, or the machine answered something else and that was to end it.
        """
        del tools, tool_choice, seed
        new = [each for each in _since(messages, self._said) if id(each) not in self._seen]
        answers = [(str(m.tool_call_id), str(m.text)) for m in new if isinstance(m, ToolMessage)]
        added = [
            ("system" if isinstance(m, SystemMessage) else "user", str(m.text))
            for m in new
            if not isinstance(m, ToolMessage | AIMessage)
        ]
        reply = self._decide(answers, added)
        self._said = reply.message
        self._seen.update({id(each): each for each in (*new, reply.message)})
        return reply

    async def relay(self, request: Mapping[str, Any], *, seed: int | None = None) -> Relayed:
        """Answer a program inside as then.

        Raises:
            BudgetSpent, EpisodeEnded: as `ask`.
        """
        del seed
        heard = self._hearing.hear(request)
        added = [(str(each["role"]), str(each["content"])) for each in heard.added]
        reply = self._decide([], added)
        answer = answer_from(reply, model=self.serves)
        answer["choices"][0]["finish_reason"] = reply.finish or answer["choices"][0]["finish_reason"]
        self._hearing.answered(heard, answer)
        return relayed(reply, answer)

    def _decide(self, answers: Sequence[tuple[str, str]], added: Sequence[tuple[str, str]]) -> Reply:
        """Hear what was answered and said since the decision before, and take the next one."""
        turn = self.ahead
        alike = True
        if turn is None or turn.beside is None or answers:  # a question may leave the latest answers out
            alike = self._heard(self._unheard, answers)
            self._unheard = ()
        alike &= self._told(turn, added)
        if turn is None or turn.reply is None:
            self._end()
        if not alike and self._subject.stop:
            raise EpisodeEnded("aborted")
        self._next += 1
        self._unheard = turn.answers or self._unheard
        return self._as_it_reads_now(turn.reply)

    def _heard(self, then: Sequence[Answered], now: Sequence[tuple[str, str]]) -> bool:
        alike = len(then) == len(now)
        left = list(now)
        for answered in then:
            found = next((each for each in left if each[0] == answered.id), None)
            if found is not None:
                left.remove(found)
            alike &= found is not None and self._subject.renaming.alike(answered.text, found[1])
        return alike

    def _told(self, turn: Turn | None, now: Sequence[tuple[str, str]]) -> bool:
        if turn is None:
            return False
        then = [(str(each.get("role")), str(each.get("content"))) for each in turn.added]
        alike = len(then) == len(now)
        for old, new in zip(then, now, strict=False):
            alike &= old[0] == new[0] and self._subject.renaming.alike(old[1], new[1])
        return alike

    def _as_it_reads_now(self, reply: Reply) -> Reply:
        renaming = self._subject.renaming
        text: str = renaming.renamed(reply.text)
        calls = tuple(replace(call, arguments=renaming.renamed(dict(call.arguments))) for call in reply.calls)
        if (text, calls) == (reply.text, reply.calls):
            # A message is told by its identity: one of its own for each time it is said.
            return replace(reply, message=reply.message.model_copy())
        return replace(reply, text=text, calls=calls, message=message_of(text, calls))

    def _end(self) -> NoReturn:
        recording = self._subject.recording
        if recording.limit is not None:
            raise BudgetSpent(recording.limit)
        raise EpisodeEnded("aborted")


def _since(messages: Sequence[BaseMessage], said: AIMessage | None) -> Sequence[BaseMessage]:
    """Return what was added after the latest decision; everything, where that is not to be found."""
    if said is not None:
        for place in range(len(messages) - 1, -1, -1):
            if messages[place] is said:
                return messages[place + 1 :]
    return messages
