"""The statistics of an ablation: pure functions of counts, small enough to check by hand.

Intervals are two-sided, 95 % unless said otherwise, and chosen for small samples: an ablation has tens of
worlds, not thousands, and proportions near 0 and 1.

Sources:
    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22, 209-212.
    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on
        paired data", Statistics in Medicine 17, 2635-2650 (method 10).
    McNemar 1947, Psychometrika 12, 153-157; its exact form is the sign test on the discordant pairs.
    Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6, 65-70.
    Garwood 1936, "Fiducial limits for the Poisson distribution", Biometrika 28, 437-442.
    Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13 (percentile interval).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb, exp, inf, isfinite, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CONFIDENCE",
    "Estimate",
    "Interval",
    "PairedTable",
    "garwood",
    "holm",
    "mcnemar",
    "newcombe_paired",
    "per_success",
    "per_trial",
    "wilson",
]

CONFIDENCE = 0.95

_DRAWS = 2000
_SEED = 1998


class Interval(NamedTuple):
    """Bounds of a confidence interval. An infinite bound: the data set none."""

    low: float
    high: float

    def covers(self, value: float) -> bool:
        """Whether `value` lies within the bounds, which count as inside."""
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A quantity and how sure it is. Infinite where nothing succeeded."""

    value: float
    interval: Interval

    @property
    def finite(self) -> bool:
        """There is a number to show."""
        return isfinite(self.value)


@dataclass(frozen=True, kw_only=True)
class PairedTable:
    """Worlds that two arms both met, by which of the two succeeded there."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, pairs: Sequence[tuple[bool, bool]]) -> PairedTable:
        """Count (first, second) successes, one pair a world."""
        return cls(
            both=pairs.count((True, True)),
            only_first=pairs.count((True, False)),
            only_second=pairs.count((False, True)),
            neither=pairs.count((False, False)),
        )

    @property
    def worlds(self) -> int:
        """Number of pairs."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def first(self) -> int:
        """Successes of the first arm."""
        return self.both + self.only_first

    @property
    def second(self) -> int:
        """Successes of the second arm."""
        return self.both + self.only_second

    @property
    def difference(self) -> float:
        """First minus second, as proportions."""
        return (self.only_first - self.only_second) / self.worlds

    def swapped(self) -> PairedTable:
        """The same worlds with the arms' places exchanged."""
        return PairedTable(
            both=self.both,
            only_first=self.only_second,
            only_second=self.only_first,
            neither=self.neither,
        )


def wilson(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval for a proportion; [0, 1] where there are no trials.

    With p = k/n and z the normal quantile: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, spread = successes / trials, z * z / trials
    centre = p + spread / 2
    half = z * sqrt(p * (1 - p) / trials + spread / (4 * trials))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # At 0 and n successes a bound is 0 or 1 exactly; floating point misses it by a hair.
    return Interval(0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def garwood(count: int, units: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Garwood's exact interval for a mean count a unit, from `count` events in `units`.

    Exact where events are Poisson, and too wide, never too narrow, where a unit has hardly more than one.

    Raises:
        ValueError: there are no units, or fewer than no events.
    """
    if units < 1 or count < 0:
        raise ValueError(f"no mean of {count} events in {units} units")
    tail = (1 - confidence) / 2
    low = _solved(lambda mean: 1 - _poisson_up_to(count - 1, mean) - tail) if count else 0.0
    high = _solved(lambda mean: tail - _poisson_up_to(count, mean))
    return Interval(low / units, high / units)


def _poisson_up_to(count: int, mean: float) -> float:
    """Return the probability of at most so many events."""
    term = total = exp(-mean)
    for events in range(1, count + 1):
        term *= mean / events
        total += term
    return total if count >= 0 else 0.0


def _solved(rising: Callable[[float], float]) -> float:
    """Return where a rising function crosses zero, by bisection from 0 upwards."""
    low, high = 0.0, 1.0
    while rising(high) < 0:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) >= 0 else (middle, high)
    return high


def newcombe_paired(table: PairedTable, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Newcombe's interval for a difference of paired proportions (method 10 of 1998).

    Wilson's bounds l, u of both proportions are squared and added, less what their correlation φ explains:
    low = D - √((p₁-l₁)² - 2φ(p₁-l₁)(u₂-p₂) + (u₂-p₂)²), and high likewise with the roles exchanged.
    φ is that of the table, with a continuity correction of n/2 when positive; 0 where a margin is empty.

    Raises:
        ValueError: the table is empty.
    """
    if table.worlds == 0:
        raise ValueError("there is no pair to compare")
    first, second = table.first / table.worlds, table.second / table.worlds
    low1, high1 = wilson(table.first, table.worlds, confidence=confidence)
    low2, high2 = wilson(table.second, table.worlds, confidence=confidence)
    phi = _corrected_phi(table)
    below = _add_squares(first - low1, high2 - second, phi)
    above = _add_squares(high1 - first, second - low2, phi)
    return Interval(max(-1.0, table.difference - below), min(1.0, table.difference + above))


def _corrected_phi(table: PairedTable) -> float:
    n = table.worlds
    margins = table.first * (n - table.first) * table.second * (n - table.second)
    if margins == 0:
        return 0.0
    association = float(table.both * table.neither - table.only_first * table.only_second)
    if association > 0:
        association = max(0.0, association - n / 2)
    return association / sqrt(margins)


def _add_squares(a: float, b: float, phi: float) -> float:
    return sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def mcnemar(table: PairedTable) -> float:
    """Return McNemar's exact two-sided p-value: the sign test on the worlds where the arms differ.

    With m such worlds, of which k fell to the less lucky arm: min(1, 2 Σᵢ₌₀ᵏ C(m, i) / 2ᵐ); 1 where m = 0.
    """
    differing = table.only_first + table.only_second
    fewer = min(table.only_first, table.only_second)
    tail = sum(comb(differing, i) for i in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**differing)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, in the order given (Holm's step-down).

    The i-th smallest of m is multiplied by m - i + 1, raised to the largest before it, and capped at 1.
    """
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted


def per_trial(amounts: Sequence[float]) -> Estimate | None:
    """Return the mean of what trials cost, with a bootstrap interval; None without trials."""
    if not amounts:
        return None
    return _ratio(amounts, [1] * len(amounts))


def per_success(amounts: Sequence[float], successes: Sequence[bool]) -> Estimate | None:
    """Return what one success cost: all that was spent, failures included, over the successes.

    The interval is a percentile bootstrap over trials (2,000 seeded draws). A bound is infinite where the
    draws hold no success that often; so is the value where there was none. None without trials.
    """
    if not amounts:
        return None
    return _ratio(amounts, [int(success) for success in successes])


def _ratio(amounts: Sequence[float], units: Sequence[int]) -> Estimate:
    # Sorted, so that the draws, and with them the interval, do not depend on the order of the trials.
    rows = np.array(sorted(zip(amounts, units, strict=True)), dtype=float)
    draws = np.random.default_rng(_SEED).integers(0, len(rows), size=(_DRAWS, len(rows)))
    sums, counts = rows[:, 0][draws].sum(axis=1), rows[:, 1][draws].sum(axis=1)
    ratios = np.sort(np.divide(sums, counts, out=np.full(_DRAWS, inf), where=counts > 0))
    tail = round(_DRAWS * (1 - CONFIDENCE) / 2)
    total = float(rows[:, 1].sum())
    return Estimate(
        value=float(rows[:, 0].sum()) / total if total else inf,
        interval=Interval(float(ratios[tail]), float(ratios[-tail - 1])),
    )
