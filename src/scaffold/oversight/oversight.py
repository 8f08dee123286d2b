"""The hand on a running study."""

from __future__ import annotations

import asyncio
import difflib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaffold.errors import Unattended
from scaffold.oversight.decisions import allow
from scaffold.oversight.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scaffold.budget import Meter
    from scaffold.events import Event
    from scaffold.oversight.decisions import Decision, Supervisor, View
    from scaffold.oversight.watch import Does
    from scaffold.types import ToolCall

__all__ = ["Oversight", "Standing", "TrialUnknown"]

_STUDY, _TRIAL = "study", "trial"


class TrialUnknown(LookupError):
    """No running trial is called that."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A running trial at one moment."""

    trial: str
    does: Does
    """`runs`, `stands` where it is paused and has come to a stop, `asks` while somebody is asked."""
    held: bool
    """It goes no further than what is under way."""


class Oversight:
    """Pauses, continues, steps and aborts the trials of one running study. Used from its event loop.

    A pause takes hold at once between two things a trial does: a request or a tool call that is under way
    comes to its end, and nothing follows it. The clock of a trial that stands does not run.

    Args:
        person: who is asked where a policy leaves a call to the person in attendance.
    """

    def __init__(self, *, person: Supervisor | None = None) -> None:
        self._person = person
        self._watches: dict[str, Watch] = {}
        self._paused = False
        self._waived = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def attended(self) -> bool:
        """Whether there is a person to ask."""
        return self._person is not None

    @property
    def paused(self) -> bool:
        """Whether the whole study is."""
        return self._paused

    @property
    def trials(self) -> tuple[Standing, ...]:
        """The trials whose agents are at work."""
        return tuple(
            Standing(trial=key, does=watch.does, held=watch.held) for key, watch in self._watches.items()
        )

    def pause(self, trial: str | None = None, *, reason: str = "") -> tuple[str, ...]:
        """Make a trial wait, or all, those still to come included. Return which.

        Raises:
            TrialUnknown: no running trial is called that.
        """
        self._paused = self._paused or trial is None
        return self._each(trial, lambda watch: watch.hold(_TRIAL if trial else _STUDY, reason=reason))

    def resume(self, trial: str | None = None) -> tuple[str, ...]:
        """Let a trial go on, or all, whatever holds them. Return which.

        Raises:
            TrialUnknown: no running trial is called that.
        """
        self._paused = self._paused and trial is not None
        return self._each(trial, Watch.let_go_all, among=lambda watch: watch.held)

    def step(self, trial: str | None = None) -> tuple[str, ...]:
        """Let a trial that is paused, or all, take one step: one request to the subject and its calls.

        Raises:
            TrialUnknown: no running trial is called that.
        """
        return self._each(trial, Watch.step, among=lambda watch: watch.held)

    def abort(self, trial: str, *, reason: str = "") -> None:
        """End a trial's episode now. What it has come to is judged all the same.

        Raises:
            TrialUnknown: no running trial is called that.
        """
        self._each(trial, lambda watch: watch.end("aborted", by="person", reason=reason))

    @contextmanager
    def over(
        self, trial: str, *, policy: Supervisor, meter: Meter, emit: Callable[[Event], None]
    ) -> Iterator[Watch]:
        """Take a trial under oversight for as long as its agent is at work."""
        watch = Watch(trial, policy=policy, desk=self, meter=meter, emit=emit)
        if self._paused:
            watch.hold(_STUDY)
        self._watches[trial] = watch
        try:
            yield watch
        finally:
            del self._watches[trial]

    async def ask(self, call: ToolCall, view: View) -> Decision:
        """Put a call to the person, one after the other over all trials.

        Raises:
            Unattended: there is none.
        """
        if self._person is None:
            raise Unattended(f"the policy leaves a call of {call.name} to a person, and none is there")
        async with self._one_at_a_time:
            if self._waived:
                return allow(by="rule")
            decision = await self._person(call, view)
            self._waived = decision.verb == "allow" and decision.reach == "rest"
            return decision

    def _each(
        self,
        trial: str | None,
        do: Callable[[Watch], None],
        *,
        among: Callable[[Watch], bool] = lambda _: True,
    ) -> tuple[str, ...]:
        if trial is None:
            chosen = {key: watch for key, watch in self._watches.items() if among(watch)}
        elif trial in self._watches:
            chosen = {trial: self._watches[trial]}
        else:
            near = difflib.get_close_matches(trial, self._watches, n=1, cutoff=0.4)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise TrialUnknown(f"no agent is at work in a trial {trial!r}{hint}")
        for watch in chosen.values():
            do(watch)
        return tuple(chosen)
