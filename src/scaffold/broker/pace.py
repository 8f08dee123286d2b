"""How fast a provider is asked: at most as fast as it is allowed to be, and as fast as it bears.

What takes a place is an attempt, not a call: one that waits to be asked again holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Literal

from scaffold.broker.level import Attempt, Level

__all__ = ["ADAPTIVE", "UNPACED", "End", "Found", "Pace", "Pacer"]

_MINUTE_S = 60.0
_INSTANT_S = 1e-6
"""Clocks are not finer: nobody waits for less."""

End = Literal["answered", "refused", "late", "broken"]
"""How an attempt ended. `refused`: the provider had too much to do, or nobody answered the door; `late`: it
did not answer in time; `broken`: in some way that says nothing about how much it bears."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a provider allows, and whether what it bears below that is found out. None means no limit.

    Raises:
        ValueError: a limit below 1.
    """

    at_once: int | None = None
    """Attempts without an answer. A call that waits to be asked again takes no place."""
    per_minute: int | None = None
    """Attempts begun in any sixty seconds."""
    adaptive: bool = True
    """Refusals and time-outs make it slower, answers faster again, never beyond the two limits."""

    def __post_init__(self) -> None:
        for name, limit in (("at_once", self.at_once), ("per_minute", self.per_minute)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is {limit}: nothing could ever be asked; give 1 or more, or None")


ADAPTIVE = Pace()
"""As fast as the provider bears."""
UNPACED = Pace(adaptive=False)
"""As fast as the trials ask."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came out about a provider."""

    provider: str
    attempts: int
    refused: int
    """Attempts that were too much for it, or came back too late."""
    at_once: int | None
    """The level that was found; None while nothing was refused."""
    waited_s: float
    """By all calls together, for a place and for the provider's sake."""

    def __str__(self) -> str:
        level = "as fast as asked" if self.at_once is None else f"{self.at_once} at once"
        return f"{self.provider}: {level}, {self.refused} of {self.attempts} attempts refused"


class Pacer:
    """Lets attempts through at a pace. Whoever waits longest goes next; waiting can be cancelled.

    Args:
        pace: the limits.
        minute_s: length of the minute, in seconds.
    """

    def __init__(self, pace: Pace, *, minute_s: float = _MINUTE_S) -> None:
        self.pace = pace
        self.level = Level()
        self.attempts = 0
        self.waited_s = 0.0
        self._minute_s = minute_s
        self._under_way = 0
        self._begun: deque[float] = deque()
        """When the attempts of the last minute began, oldest first."""
        self._closed_until = float("-inf")
        self._queue: deque[asyncio.Future[Attempt]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    def enter_now(self) -> Attempt | None:
        """Take a place if one is free and nobody waits for it."""
        return self._take() if not self._queue and self._opens() is None else None

    async def enter(self) -> Attempt:
        """Wait for a place, and take it: `leave` gives it back."""
        if (attempt := self.enter_now()) is not None:
            return attempt
        loop = asyncio.get_running_loop()
        since = loop.time()
        place: asyncio.Future[Attempt] = loop.create_future()
        self._queue.append(place)
        self._admit()
        try:
            return await place
        except asyncio.CancelledError as end:
            if place.done() and not place.cancelled():  # it was given in the same moment, and nothing begun
                if self._begun:
                    self._begun.pop()
                self.attempts -= 1
                self.leave(place.result(), "broken")
            elif place in self._queue:
                self._queue.remove(place)
            end.add_note("waited for its turn at the pace of the provider")
            raise
        finally:
            self.waited_s += loop.time() - since

    def leave(
        self, attempt: Attempt, end: End = "answered", *, asked_s: float = 0.0, rest_s: float = 0.0
    ) -> None:
        """Give the place back.

        Args:
            attempt: as `enter` returned it.
            end: how it ended.
            asked_s: for how long the provider asks to be left alone; nothing is begun before.
            rest_s: when the call is made again; nothing is begun before where all were refused lately.
        """
        if self.pace.adaptive:
            now = asyncio.get_running_loop().time()
            again = False
            match end:
                case "answered":
                    self.level.answered(attempt)
                case "refused":
                    again = self.level.strained(attempt, beside=attempt.beside)
                case "late":
                    again = self.level.strained(attempt, beside=max(attempt.beside, self._under_way))
                case "broken":
                    pass
            closed_s = max(asked_s, rest_s if again else 0.0)
            if closed_s:
                self._closed_until = max(self._closed_until, now + closed_s)
        self._under_way -= 1
        if self._queue:
            self._admit()

    def found(self, provider: str) -> Found:
        """Say what came out so far."""
        level = self.level
        return Found(
            provider=provider,
            attempts=self.attempts,
            refused=level.strains,
            at_once=min(level.at_once, self.pace.at_once or level.at_once) if level.met else None,
            waited_s=round(self.waited_s, 3),
        )

    def _take(self) -> Attempt:
        self._under_way += 1
        self.attempts += 1
        if self.pace.per_minute is not None:
            self._begun.append(asyncio.get_running_loop().time())
        return self.level.begin(self._under_way)

    def _opens(self) -> float | None:
        """Return when the next attempt may begin: None for now, infinity for when another ends."""
        pace, level = self.pace, self.level
        if pace.at_once is not None and self._under_way >= pace.at_once:
            return float("inf")
        if pace.adaptive and self._under_way >= level.at_once:
            level.press()
            return float("inf")
        now = asyncio.get_running_loop().time()
        when = self._closed_until
        if pace.per_minute is not None:
            while self._begun and self._begun[0] <= now - self._minute_s:
                self._begun.popleft()
            if len(self._begun) >= pace.per_minute:
                when = max(when, self._begun[0] + self._minute_s)
        return when if when - now > _INSTANT_S else None

    def _admit(self) -> None:
        """Let through whoever may begin, and set the alarm for the next."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        opens: float | None = None
        while self._queue and (opens := self._opens()) is None:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(self._take())
        if self._queue and opens is not None and opens != float("inf"):
            self._alarm = asyncio.get_running_loop().call_at(opens, self._admit)
