"""The one way to a subject: every call of every trial comes here, is let through or refused, and recorded."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from scaffold.broker.lineage import Lineage
from scaffold.broker.pace import UNPACED, Pace, Pacer
from scaffold.broker.turn import Turn
from scaffold.budget import Meter
from scaffold.counting import PlainGauge
from scaffold.errors import AnotherModel, BudgetSpent, ContextFull, KeyRevoked
from scaffold.events import Asked, Replied
from scaffold.protocols import ModelOfGenerations, RecallingModel, RelayingModel
from scaffold.types import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from scaffold.broker.census import Census, Sighting
    from scaffold.broker.key import Key
    from scaffold.broker.pace import Found
    from scaffold.broker.purse import Purse
    from scaffold.events import Event
    from scaffold.protocols import Gauge, Model, Subject
    from scaffold.types import Budget, ToolCall

__all__ = ["Broker", "Paces"]

R = TypeVar("R", bound=Reply)

_UNHURRIED = Pacer(UNPACED)
"""For answers that are there already."""


class Paces:
    """One pacer a provider, whichever and however many of its models are studied."""

    def __init__(self) -> None:
        self._pacers: dict[tuple[str, Pace], Pacer] = {}

    def of(self, subject: Subject) -> Pacer:
        """Return the pacer of a subject's provider: by its `provider`, or else by its name."""
        pace: Pace = getattr(subject, "pace", UNPACED)
        place = (str(getattr(subject, "provider", subject.name)), pace)
        return self._pacers.setdefault(place, Pacer(pace))

    def found(self) -> tuple[Found, ...]:
        """Say what came out about each provider that was asked for as much as it bears."""
        asked = [each for each in self._pacers.items() if each[1].attempts and each[1].pace.adaptive]
        return tuple(pacer.found(provider) for (provider, _), pacer in asked)


class Broker:
    """Owns a connected subject, and hands out keys to it.

    Args:
        model: the connected subject. Nobody else asks it.
        pacer: of the subject's provider; without one nothing waits.
        valid: asked before every call and after every answer: None where all is well, else why nobody is to
            ask anything any more. Then every key is revoked for good.
    """

    def __init__(
        self,
        model: Model,
        *,
        pacer: Pacer | None = None,
        valid: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.model = model
        self.recalling = model if isinstance(model, RecallingModel) else None
        """The subject, where it knows what it has answered before."""
        self._by_generation = model if isinstance(model, ModelOfGenerations) else None
        self._pacer = pacer or Pacer(UNPACED)
        self._valid = valid
        self._keys: dict[bytes, Key] = {}
        self.closed: str | None = None
        """Why nobody is to ask anything any more; None while somebody may."""

    def gauge(self) -> Gauge:
        """What can be known of a request to the subject before it is sent."""
        return getattr(self.model, "gauge", None) or PlainGauge()

    @property
    def serves(self) -> str | None:
        """What a program inside a machine may call the model; None where the subject answers none."""
        return self.model.serves if isinstance(self.model, RelayingModel) else None

    @property
    def relaying(self) -> RelayingModel:
        """The subject, for what is asked in the protocol's own form.

        Raises:
            TypeError: it does not speak it.
        """
        if not isinstance(self.model, RelayingModel):
            raise TypeError(f"{type(self.model).__name__} answers no requests of programs inside a machine")
        return self.model

    def answering(self, key: Key) -> Model:
        """Return what answers a key's loop."""
        return (
            self.model if self._by_generation is None else self._by_generation.of_generation(key.generation)
        )

    def admit(
        self,
        *,
        budget: Budget,
        emit: Callable[[Event], None] = lambda _: None,
        census: Census | None = None,
        world: Sequence[Sighting] = (),
        machine: str = "",
        purse: Purse | None = None,
    ) -> Lineage:
        """Begin a trial: its budget's clock starts now, and its agent's key is the lineage's first.

        Args:
            budget: of all generations together.
            emit: keeps the record.
            census: looks at the trial's machines; without one nothing is attributed but calls.
            world: what it saw before the agent came.
            machine: where the trial's own agent acts, as the census calls it.
            purse: what the trial spends from beside its own budget.

        Raises:
            KeyRevoked: there are to be no keys any more.
        """
        return Lineage(
            self, meter=Meter(budget), emit=emit, census=census, world=world, machine=machine, purse=purse
        )

    def register(self, key: Key) -> None:
        """Know a key from now on.

        Raises:
            KeyRevoked: there are to be no keys any more.
        """
        if self.closed is not None:
            raise KeyRevoked(self.closed)
        self._keys[_digest(key.token)] = key

    def find(self, token: str) -> Key | None:
        """Return the key, of whatever trial and good or not, that a token stands for."""
        return self._keys.get(_digest(token))

    def revoke(self, key: Key, reason: str) -> None:
        """Take one key back. The first reason stands."""
        key.revoked = key.revoked or reason

    def revoke_all(self, reason: str) -> None:
        """Take every key back, and give out no more."""
        self.closed = self.closed or reason
        for key in self._keys.values():
            self.revoke(key, reason)

    def forget(self, key: Key) -> None:
        """Let go of a key that was revoked; from now on it is like any made-up one."""
        self._keys.pop(_digest(key.token), None)

    def check(self, key: Key) -> None:
        """See that a key is good.

        Raises:
            KeyRevoked: it is not.
        """
        if key.revoked is None and (reason := self._valid()) is not None:
            self.revoke_all(reason)
            self.revoke(key, reason)
        if key.revoked is not None:
            raise KeyRevoked(key.revoked)

    async def carry(
        self,
        key: Key,
        send: Callable[[], Awaitable[R]],
        *,
        by: str,
        added: tuple[dict[str, str], ...],
        settings: dict[str, Any] | None = None,
        known: R | None = None,
        beside: int | None = None,
        fits: Callable[[], Awaitable[None]] | None = None,
    ) -> R:
        """Make one call with a key, for `Key` alone.

        Args:
            key: whose call it is.
            send: asks the subject.
            by: the faculty that asks.
            added: what is new in the conversation.
            settings: what is new beside it.
            known: the answer where it was given before: nobody is asked, and no place is waited for.
            beside: where the call is made beside the conversation, how much of that stands before `added`.
            fits: raises `ContextFull` where the call is not worth making; then it is not.

        Raises:
            BudgetSpent, KeyRevoked, ModelFailed: as `Key.ask`.
        """
        lineage = key.lineage
        meter, emit = lineage.meter, lineage.emit
        self.check(key)
        if lineage.hold is not None:
            await lineage.hold()
        meter.check()
        pacer = self._pacer if known is None else _UNHURRIED
        with meter.waiting():
            if fits is not None and known is None:
                await _fitting(key, fits)
            async with Turn(pacer, waiting=meter.in_line) as turn:
                self.check(key)
                if lineage.purse is not None:
                    lineage.purse.check()
                step = key.step = meter.before_call()
                own: dict[str, Any] = {"settings": settings or {}, "generation": key.generation}
                emit(Asked(step=step, faculty=by, added=added, beside=beside, **own))
                try:
                    reply = await send() if known is None else known
                except ContextFull as full:
                    _count_as_limit(full, key)
                    raise
                except AnotherModel as other:  # it was answered and is paid for, whoever did it
                    self._count(key, step, by, other.reply, turn)
                    raise
        self._count(key, step, by, reply, turn)
        self.check(key)
        return reply

    def _count(self, key: Key, step: int, by: str, reply: Reply, turn: Turn) -> None:
        lineage = key.lineage
        lineage.meter.spend(reply.usage)
        if lineage.purse is not None and not reply.from_cache:
            lineage.purse.spend(reply.usage)
        key.note(reply)
        lineage.emit(_replied(step, by, reply, key.generation, waited_s=turn.waited_s))


async def _fitting(key: Key, fits: Callable[[], Awaitable[None]]) -> None:
    """See that a call is worth making. That has a turn of its own, whose pauses are not the trial's time."""
    try:
        async with Turn(_UNHURRIED, waiting=key.lineage.meter.in_line):
            await fits()
    except ContextFull as full:
        _count_as_limit(full, key)
        raise


def _count_as_limit(full: ContextFull, key: Key) -> None:
    """Count a conversation that has grown too long as a spent budget; one that began so is a fault.

    Raises:
        BudgetSpent: it has grown.
    """
    if key.calls:
        raise BudgetSpent("context") from full


def _digest(token: str) -> bytes:
    """Stand for a token: how long a look-up takes says nothing about those there are."""
    return blake2b(token.encode(errors="replace"), digest_size=32).digest()


def _call(call: ToolCall) -> dict[str, Any]:
    problem = {} if call.problem is None else {"problem": call.problem}
    return {"id": call.id, "name": call.name, "arguments": dict(call.arguments), **problem}


def _replied(step: int, faculty: str, reply: Reply, generation: int, *, waited_s: float) -> Replied:
    usage = reply.usage
    return Replied(
        step=step,
        faculty=faculty,
        text=reply.text,
        reasoning=reply.reasoning,
        calls=tuple(map(_call, reply.calls)),
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        money=usage.money,
        money_spared=usage.money_spared,
        seconds=round(reply.seconds, 6),
        waited_s=round(waited_s, 6),
        first_s=None if reply.first_s is None else round(reply.first_s, 6),
        attempts=reply.attempts,
        finish=reply.finish,
        served=reply.served,
        from_cache=reply.from_cache,
        refused=reply.refused,
        generation=generation,
    )
