"""What a battery has found: attempt by attempt, and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from environments.drill.attempt import CLASSES

if TYPE_CHECKING:
    from environments.drill.attempt import Attempt, Class

__all__ = ["Outcome", "Report", "Tally", "Tried"]

Outcome = Literal["held", "out", "declared", "not tried"]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one attempt."""

    attempt: Attempt
    outcome: Outcome
    detail: str = ""
    """What was seen of it outside; why it was not tried; in which words it is declared."""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One class in numbers."""

    kind: Class
    tried: int
    out: int
    declared: int
    not_tried: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of all of them."""

    provider: str
    seed: int
    tried: tuple[Tried, ...]
    seconds: float
    endings: tuple[str, ...] = ()
    """Machines that an attempt has ended, and how. That is no escape, but worth knowing."""
    leaks: tuple[str, ...] = ()
    """What machines left behind when they were closed."""

    @property
    def escaped(self) -> tuple[Tried, ...]:
        """What got out and is not declared."""
        return tuple(one for one in self.tried if one.outcome == "out")

    @property
    def held(self) -> bool:
        """Nothing got out that is not declared, and nothing was left behind."""
        return not self.escaped and not self.leaks

    def tally(self) -> tuple[Tally, ...]:
        """Return the numbers of each class that was asked for."""
        counts = Counter((one.attempt.kind, one.outcome) for one in self.tried)
        kinds = [kind for kind in CLASSES if any(known == kind for known, _ in counts)]
        return tuple(
            Tally(
                kind=kind,
                tried=sum(counts[kind, outcome] for outcome in ("held", "out", "declared")),
                out=counts[kind, "out"],
                declared=counts[kind, "declared"],
                not_tried=counts[kind, "not tried"],
            )
            for kind in kinds
        )
