"""How fast a provider is asked: so many requests at once, so many a minute, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

__all__ = ["UNPACED", "Pace", "Pacer"]

_MINUTE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a provider bears, or allows. None means no limit.

    Raises:
        ValueError: a limit below 1.
    """

    at_once: int | None = None
    """Requests without an answer. One that is being retried keeps its place."""
    per_minute: int | None = None
    """Requests begun in any sixty seconds. What is retried counts once."""

    def __post_init__(self) -> None:
        for name, limit in (("at_once", self.at_once), ("per_minute", self.per_minute)):
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is {limit}: nothing could ever be asked; give 1 or more, or None")


UNPACED = Pace()
"""As fast as the trials ask."""


class Pacer:
    """Lets requests through at a pace. Whoever waits longest goes next; waiting can be cancelled.

    Args:
        pace: the limits.
        minute_s: length of the minute, in seconds.
    """

    def __init__(self, pace: Pace, *, minute_s: float = _MINUTE_S) -> None:
        self.pace = pace
        self._minute_s = minute_s
        self._under_way = 0
        self._begun: deque[float] = deque()
        """When the requests of the last minute began, oldest first."""
        self._queue: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    async def enter(self) -> None:
        """Wait for a place, and take it: `leave` gives it back."""
        if not self._queue and self._free():
            self._take()
            return
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._admit()  # sets the alarm where only the minute is full
        try:
            await place
        except asyncio.CancelledError as end:
            if (
                place.done() and not place.cancelled()
            ):  # it was given in the same moment, and nothing was begun with it
                if self._begun:
                    self._begun.pop()
                self.leave()
            elif place in self._queue:
                self._queue.remove(place)
            end.add_note("waited for its turn at the pace that was set for the provider")
            raise

    def leave(self) -> None:
        """Give the place back."""
        self._under_way -= 1
        self._admit()

    def _take(self) -> None:
        self._under_way += 1
        if self.pace.per_minute is not None:
            self._begun.append(asyncio.get_running_loop().time())

    def _free(self) -> bool:
        at_once, per_minute = self.pace.at_once, self.pace.per_minute
        if at_once is not None and self._under_way >= at_once:
            return False
        if per_minute is None:
            return True
        past = asyncio.get_running_loop().time() - self._minute_s
        while self._begun and self._begun[0] <= past:
            self._begun.popleft()
        return len(self._begun) < per_minute

    def _admit(self) -> None:
        while self._queue and self._free():
            place = self._queue.popleft()
            if not place.done():
                self._take()
                place.set_result(None)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._queue and self._begun:
            self._alarm = asyncio.get_running_loop().call_at(self._begun[0] + self._minute_s, self._admit)
