"""One running trial under oversight: where it waits, who is asked, and what was done to it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Literal

from scaffold.errors import EpisodeEnded, Unattended
from scaffold.events import Intervened
from scaffold.oversight.decisions import Decision, View, allow
from scaffold.oversight.policies import ApproveAll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from langchain_core.messages import BaseMessage

    from scaffold.budget import Meter
    from scaffold.events import Event
    from scaffold.oversight.decisions import By, Supervisor
    from scaffold.oversight.oversight import Oversight
    from scaffold.types import Stop, ToolCall

__all__ = ["Watch"]

_APPROVED = allow(by="rule")

Does = Literal["runs", "stands", "asks"]


class Watch:
    """The hold that an `Oversight` has on one trial. Made by `Oversight.over`, inside the event loop.

    A trial waits before each request to the subject, before each tool call and before whatever its scaffold
    does to the machine by itself. While it waits, its clock stands still.
    """

    def __init__(
        self,
        trial: str,
        *,
        policy: Supervisor,
        desk: Oversight,
        meter: Meter,
        emit: Callable[[Event], None],
    ) -> None:
        self.trial = trial
        self.meter = meter
        self.ended: Stop | None = None
        """How the episode was ended from outside, once it was."""
        self.interventions = 0
        self.helped = False
        """Whether a call was kept from running, or the episode ended: no longer the agent's work alone."""
        self.does: Does = "runs"
        self._policy = policy
        self._approves = isinstance(policy, ApproveAll)
        self._desk = desk
        self._emit = emit
        self._holds: dict[str, str] = {}
        self._allowance = 0
        self._stepping = False
        self._granted = 0
        self._moved = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    # ------------------------------------------------------------------ what the scaffold's side calls

    async def before_turn(self) -> None:
        """Wait before the subject is asked.

        Raises:
            EpisodeEnded: the episode was ended from outside.
        """
        self._stepping = False
        if self._holds or self.ended:
            await self._wait()

    async def gate(self) -> None:
        """Wait before anything else is done.

        Raises:
            EpisodeEnded: the episode was ended from outside.
        """
        if self._holds or self.ended:
            await self._wait()

    async def approve(self, call: ToolCall, *, faculty: str, messages: Sequence[BaseMessage]) -> Decision:
        """Put a call to the policy, once the trial may go on; the answer is to allow or to deny.

        Raises:
            EpisodeEnded: the episode was ended, by this decision or before.
            Unattended: a person is to be asked, and none is there.
        """
        await self.gate()
        if self._approves:
            return _APPROVED
        view = View(trial=self.trial, step=self.meter.steps, faculty=faculty, messages=messages)
        async with self._one_at_a_time:
            began = monotonic()
            with self._waiting("asks"):
                decision = await self._decide(call, view)
            self._note_decision(decision, call, waited=monotonic() - began)
        if decision.verb == "abort":
            self.ended = "aborted"
            raise EpisodeEnded("aborted")
        await self.gate()
        return decision

    async def _decide(self, call: ToolCall, view: View) -> Decision:
        decision = _checked(await self._policy(call, view))
        if decision.verb != "ask":
            return decision
        if self._granted == view.step:
            return _APPROVED
        answer = _checked(await self._desk.ask(call, view))
        if answer.verb == "ask":
            raise Unattended("the person in attendance left the call to the person in attendance")
        if answer.verb == "allow" and "step" in {answer.reach, decision.reach}:
            self._granted = view.step
        return answer

    def _note_decision(self, decision: Decision, call: ToolCall, *, waited: float) -> None:
        if decision.verb == "allow" and decision.by == "rule":
            return
        what = {"allow": "allowed", "deny": "denied", "abort": "aborted"}[decision.verb]
        self.note(what, by=decision.by, reason=decision.reason, seconds=waited, call=call.id, tool=call.name)

    async def _wait(self) -> None:
        """Stand until the trial may go on, by continuing or by a step."""
        began, why = monotonic(), "; ".join(filter(None, self._holds.values()))
        with self._waiting("stands"):
            while self._holds and not self.ended and not self._stepping and not self._allowance:
                self._moved.clear()
                await self._moved.wait()
        if self.ended:
            raise EpisodeEnded(self.ended)
        waited = monotonic() - began
        if self._holds and not self._stepping and self._allowance:
            self._allowance -= 1
            self._stepping = True
            self.note("stepped", by="person", reason=why, seconds=waited)
        elif not self._holds:
            self.note("paused", by="person", reason=why, seconds=waited)

    @contextmanager
    def _waiting(self, does: Does) -> Iterator[None]:
        before, self.does = self.does, does
        try:
            with self.meter.standing_still():
                yield
        finally:
            self.does = before

    # ------------------------------------------------------------------------ what is done from outside

    def hold(self, by: str, *, reason: str = "") -> None:
        """Make the trial wait; several may hold it, and it goes on once all have let it go."""
        self._holds[by] = reason
        self._allowance = 0
        self._stepping = False

    def let_go(self, by: str) -> None:
        """Take one hold back."""
        self._holds.pop(by, None)
        self._moved.set()

    def let_go_all(self) -> None:
        """Take every hold back."""
        self._holds.clear()
        self._moved.set()

    def step(self) -> None:
        """Let a trial that is held take one step: a request to the subject and the calls it asks for."""
        self._allowance += 1
        self._moved.set()

    def end(self, stop: Stop, *, by: By, reason: str) -> None:
        """End the episode now, whatever is under way in it."""
        if self.ended:
            return
        self.note("aborted" if stop == "aborted" else "ended", by=by, reason=reason)
        self.ended = stop
        self._moved.set()
        self.meter.cut()

    @property
    def held(self) -> bool:
        """Whether the trial goes no further than it is."""
        return bool(self._holds)

    def held_by(self, by: str) -> bool:
        """Whether this one holds it."""
        return by in self._holds

    def note(
        self,
        what: str,
        *,
        by: By,
        reason: str = "",
        seconds: float = 0.0,
        call: str | None = None,
        tool: str | None = None,
    ) -> None:
        """Put an intervention on record."""
        self.interventions += 1
        self.helped = self.helped or what in {"denied", "aborted"}
        self._emit(
            Intervened(
                step=self.meter.steps,
                what=what,
                by=by,
                reason=reason,
                seconds=round(seconds, 6),
                call=call,
                tool=tool,
            )
        )


def _checked(decision: object) -> Decision:
    if isinstance(decision, Decision):
        return decision
    raise TypeError(
        f"a supervisor answered {type(decision).__name__}, not a Decision: return allow(), deny(reason), "
        "ask() or abort(reason) of scaffold.oversight"
    )
