"""How much a provider bears, found by asking: the highest level that held, and how it is looked for.

The search goes fast where little is known and slowly where much is: doubling until something breaks, halving
the way between what held and what broke, and then holding, with a step beyond only now and then, and less
and less often. So the level stays where it was found instead of swinging about it.

Nothing here waits, or knows a clock: it goes by what began before what.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Attempt", "Level"]

START = 64
"""Attempts at once, before anything is known."""
FIRST_PROBE = 8
"""Rounds at a level beyond which something broke, before one step beyond is tried; a probe that breaks
doubles them."""
RAREST_PROBE = 512
MANY = 3
"""Refusals of what was under way together that are no accident."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under way, as the level knows it."""

    number: int
    """Counts attempts in the order they began."""
    beside: int
    """Under way when it began, itself included."""


class Level:
    """Attempts that may be under way at once, as far as a provider has shown."""

    def __init__(self, *, start: int = START) -> None:
        self.at_once = start
        """Never below 1."""
        self.strains = 0
        """Attempts that the provider could not bear."""
        self.met = False
        """Whether the provider has shown what it bears; before that the level is a guess."""
        self._good = 0
        """Held for a round, since something broke last."""
        self._bad: int | None = None
        """Broke last."""
        self._clean = 0
        """Answers in a row to what began at this level."""
        self._rounds = 0
        self._probe_after = FIRST_PROBE
        self._probing = False
        self._pressed = False
        """Whether somebody had to wait for a place: a level that nobody needs shows nothing."""
        self._streak = 0
        """Cuts without an answer in between."""
        self._noticed = 0
        """Refusals since the latest answer to something that began after the first of them."""
        self._noticed_at = 0
        self._begun = 0
        self._cut_at = 0
        self._moved_at = 0

    def begin(self, under_way: int) -> Attempt:
        """Count an attempt that begins as one of so many."""
        self._begun += 1
        return Attempt(self._begun, under_way)

    def press(self) -> None:
        """Note that somebody waits because of the number under way."""
        self._pressed = True

    # ------------------------------------------------------------------------------ upwards

    def answered(self, attempt: Attempt) -> None:
        """Take an answer in, of whatever kind: the provider bore the attempt."""
        if attempt.number > self._noticed_at:  # what was refused before was one of a kind
            self._noticed = self._streak = 0
        if attempt.number <= self._moved_at:
            return
        self._clean += 1
        if self._clean >= self.at_once:
            self._clean = 0
            if self._pressed:
                self._good = max(self._good, self.at_once)
                self._rise()

    def _rise(self) -> None:
        self._rounds += 1
        if self._bad is None:
            self._move(self.at_once * 2 if not self.met else self.at_once + max(1, self.at_once // 8))
        elif self.at_once + 1 < self._bad:
            self._move((self.at_once + self._bad) // 2)
        elif self._probing:  # what broke before has held
            self._bad, self._probing = None, False
        elif self._rounds >= self._probe_after:
            self._move(self.at_once + 1)
            self._probing = True

    def _move(self, level: int) -> None:
        self.at_once = max(level, 1)
        self._clean = self._rounds = 0
        self._moved_at = self._begun
        self._pressed = False

    # ---------------------------------------------------------------------------- downwards

    def strained(self, attempt: Attempt, *, beside: int) -> bool:
        """Take in that the provider did not bear an attempt; return whether it has to be left alone a while.

        One refusal among answers says little: servers stumble. The level is cut where what began after it is
        refused as well, or many are at once; and what began before a cut says nothing about the level since.

        Args:
            attempt: which it was.
            beside: how many were under way with it, itself included.
        """
        self.strains += 1
        if attempt.number <= self._cut_at:
            return False
        again = self._noticed > 0 and attempt.number > self._noticed_at
        self._noticed += 1
        if self._noticed == 1:
            self._noticed_at = self._begun
        if not again and self._noticed < max(MANY, beside // 4):
            return False
        self.met = True
        self._streak += 1
        if self._probing:
            self._probe_after = min(2 * self._probe_after, RAREST_PROBE)
            self._probing = False
        self._fall(min(beside, self.at_once))
        self._cut_at = self._noticed_at = self._begun
        self._noticed = 1
        return self._streak > 1

    def _fall(self, broke: int) -> None:
        self._bad = max(broke, 2)
        if 0 < self._good < broke:
            self._move(self._good)
        else:  # what held before holds no more
            self._good = 0
            self._probe_after = FIRST_PROBE
            self._move(broke // 2)
