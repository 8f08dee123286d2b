"""Where a running study stands, counted as its trials begin and end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from scaffold.broker import Paces

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablation.types import Outcome, TrialRecord

__all__ = ["Progress", "Spent", "Tally", "in_money"]


def in_money(value: float) -> str:
    """Return an amount of money, small ones with enough digits to compare."""
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.3g}"


class Spent(NamedTuple):
    """What a study has spent in all its sittings, against what it may."""

    money: float
    tokens: int
    most_money: float | None
    """None for no limit."""
    most_tokens: int | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A study at one moment."""

    total: int
    """Trials of the design."""
    done: int
    """Trials that have their result, those of earlier sittings included."""
    earlier: int
    """Trials that had their result when this sitting began."""
    running: int
    attempts: int
    """Begun in this sitting."""
    tokens: int
    """Spent in this sitting, attempts that were void included."""
    cost: float
    seconds: float
    """Since this sitting began."""
    outcomes: Mapping[str, Mapping[Outcome, int]]
    """Of the trials that are done, by arm, in the order of the design."""
    spent: Spent | None = None
    """None where the study has no limit."""
    held_back: tuple[str, ...] = ()
    """What came out about providers that cannot be asked as fast as the trials ask."""

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at the pace so far; None while there is none."""
        fresh = self.done - self.earlier
        return (self.total - self.done) * self.seconds / fresh if fresh else None


@dataclass(kw_only=True)
class Tally:
    """Counts trials as they begin and end."""

    total: int
    arms: Sequence[str]
    paces: Paces = field(default_factory=Paces)
    _outcomes: dict[str, Counter[Outcome]] = field(init=False)
    _earlier: int = 0
    _running: int = 0
    _attempts: int = 0
    _tokens: int = 0
    _cost: float = 0.0
    _began: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self._outcomes = {arm: Counter() for arm in self.arms}

    def stands(self, record: TrialRecord) -> None:
        """Count a trial whose result is from an earlier sitting."""
        self._earlier += 1
        self._outcomes[record.arm][record.outcome] += 1

    def began(self) -> None:
        """Count an attempt that begins."""
        self._running += 1
        self._attempts += 1

    def ended(self, record: TrialRecord, *, final: bool) -> None:
        """Count an attempt that came to its end; `final` where its trial is not run again."""
        self._running -= 1
        self._tokens += record.tokens
        self._cost += record.cost or 0.0
        if final:
            self._outcomes[record.arm][record.outcome] += 1

    def cut(self) -> None:
        """Count an attempt that was stopped without a result."""
        self._running -= 1

    @property
    def progress(self) -> Progress:
        """Where the study stands now."""
        return Progress(
            total=self.total,
            done=sum(counts.total() for counts in self._outcomes.values()),
            earlier=self._earlier,
            running=self._running,
            attempts=self._attempts,
            tokens=self._tokens,
            cost=self._cost,
            seconds=monotonic() - self._began,
            outcomes={arm: dict(counts) for arm, counts in self._outcomes.items()},
            held_back=tuple(str(found) for found in self.paces.found() if found.at_once is not None),
        )
