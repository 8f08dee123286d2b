"""How often, and how long apart, a server that failed is asked again."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["PATIENT", "Patience", "Retry", "retry_after"]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """One more attempt, announced before the wait."""

    attempt: int
    """The attempt that failed, counted from 1."""
    cause: str
    wait_s: float


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Exponential backoff with full jitter, within a bounded number of attempts and a bounded wait."""

    attempts: int = 5
    first_wait_s: float = 0.5
    """Upper end of the first wait; it doubles with every attempt."""
    longest_wait_s: float = 20.0
    total_wait_s: float = 120.0
    """Of all waits for one answer together."""

    def pause(self, *, attempt: int, waited_s: float, asked_s: float | None) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        Args:
            attempt: The attempt that failed, counted from 1.
            waited_s: What the earlier waits came to.
            asked_s: What the server asked for; it is honoured, or the attempt is the last.
        """
        if attempt >= self.attempts:
            return None
        left = self.total_wait_s - waited_s
        if asked_s is not None:
            return asked_s if asked_s <= left else None
        if left <= 0:
            return None
        ceiling = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        return min(random.uniform(0.0, ceiling), left)  # noqa: S311 - jitter, not a secret


PATIENT = Patience()
"""What is usual."""


def retry_after(header: str | None) -> float | None:
    """Return the seconds a `Retry-After` header asks for: a number or a date; None where it says nothing."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(tz=UTC)).total_seconds(), 0.0)
