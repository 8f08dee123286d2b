from __future__ import annotations

from itertools import product
from math import factorial, inf, isinf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ablation.statistics import (
    Interval,
    PairedTable,
    holm,
    mcnemar,
    newcombe_paired,
    per_success,
    per_trial,
    wilson,
)

counts = st.integers(min_value=0, max_value=60)
tables = st.builds(PairedTable, both=counts, only_first=counts, only_second=counts, neither=counts)
some_tables = tables.filter(lambda table: table.worlds > 0)
p_values = st.lists(st.floats(min_value=0, max_value=1), max_size=8)


def _table(both: int, only_first: int, only_second: int, neither: int) -> PairedTable:
    return PairedTable(both=both, only_first=only_first, only_second=only_second, neither=neither)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(5, 10, 0.237, 0.763), (9, 10, 0.596, 0.982)]
)
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=0.0006)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_is_what_scipy_says(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    theirs = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_does_not_care_which_outcome_is_called_success(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    low, high = wilson(trials - successes, trials)
    assert wilson(successes, trials) == pytest.approx((1 - high, 1 - low))


def test_no_trials_say_nothing() -> None:
    assert wilson(0, 0) == (0, 1)
    assert per_trial([]) is None
    assert per_success([], []) is None
    with pytest.raises(ValueError, match="no pair"):
        newcombe_paired(_table(0, 0, 0, 0))


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, 2635-2650, method 10.
        (_table(36, 12, 2, 0), 0.0569, 0.3404),
        # Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33, 2850-2875: airway reactivity of
        # children (Bentur 2009) and response to consolidation therapy (Cavo 2012).
        (_table(1, 1, 7, 12), -0.507, -0.026),
        (_table(59, 6, 16, 80), -0.1186, -0.0046),
    ],
)
def test_newcombe_gives_the_published_intervals(table: PairedTable, low: float, high: float) -> None:
    assert newcombe_paired(table) == pytest.approx((low, high), abs=0.0005)


@given(some_tables)
def test_newcombe_holds_the_difference_and_stays_in_bounds(table: PairedTable) -> None:
    interval = newcombe_paired(table)
    assert -1 <= interval.low <= table.difference + 1e-12
    assert table.difference - 1e-12 <= interval.high <= 1


@given(some_tables)
def test_exchanging_the_arms_mirrors_the_interval(table: PairedTable) -> None:
    low, high = newcombe_paired(table)
    assert newcombe_paired(table.swapped()) == pytest.approx((-high, -low))
    assert mcnemar(table.swapped()) == mcnemar(table)


@given(some_tables)
def test_calling_failure_success_mirrors_the_interval(table: PairedTable) -> None:
    relabelled = _table(table.neither, table.only_second, table.only_first, table.both)
    low, high = newcombe_paired(table)
    assert newcombe_paired(relabelled) == pytest.approx((-high, -low))


@given(st.lists(st.tuples(st.booleans(), st.booleans())), st.randoms())
def test_the_order_of_worlds_does_not_matter(pairs: list[tuple[bool, bool]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert PairedTable.of(pairs) == PairedTable.of(shuffled)
    assert PairedTable.of(pairs).worlds == len(pairs)


@pytest.mark.parametrize("worlds", [12, 24, 40])
@pytest.mark.parametrize(
    "chances",
    [(0.4, 0.3, 0.05, 0.25), (0.2, 0.5, 0.02, 0.28), (0.7, 0.1, 0.1, 0.1), (0.05, 0.25, 0.05, 0.65)],
)
def test_newcombe_covers_the_truth_as_often_as_it_says(worlds: int, chances: tuple[float, ...]) -> None:
    """Exact: the probability of every possible table whose interval holds the true difference, summed."""
    truth = chances[1] - chances[2]
    coverage = 0.0
    for a, b, c in product(range(worlds + 1), repeat=3):
        if a + b + c <= worlds:
            table = _table(a, b, c, worlds - a - b - c)
            if newcombe_paired(table).covers(truth):
                coverage += _probability(table, chances)
    assert 0.93 <= coverage <= 0.99


def _probability(table: PairedTable, chances: tuple[float, ...]) -> float:
    cells = (table.both, table.only_first, table.only_second, table.neither)
    ways = factorial(table.worlds)
    chance = 1.0
    for count, each in zip(cells, chances, strict=True):
        ways //= factorial(count)
        chance *= each**count
    return ways * chance


@given(some_tables)
def test_mcnemar_is_the_sign_test(table: PairedTable) -> None:
    differing = table.only_first + table.only_second
    expected = binomtest(table.only_first, differing).pvalue if differing else 1.0
    assert mcnemar(table) == pytest.approx(expected, abs=1e-12)


def test_mcnemar_of_a_thousand_worlds_is_still_a_number() -> None:
    assert 0 <= mcnemar(_table(0, 3000, 10, 0)) < 1e-100


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values, st.randoms())
def test_holm_only_raises_keeps_the_order_and_ignores_places(values: list[float], random: object) -> None:
    adjusted = holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, adjusted, strict=True))
    assert [after for _, after in sorted(zip(values, adjusted, strict=True))] == sorted(adjusted)
    places = list(range(len(values)))
    random.shuffle(places)  # type: ignore[attr-defined]
    assert holm([values[place] for place in places]) == [adjusted[place] for place in places]


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1, max_size=30),
    st.randoms(),
)
def test_costs_do_not_depend_on_the_order_of_trials(trials: list[tuple[float, bool]], random: object) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ours, theirs = (
        per_success([cost for cost, _ in each], [won for _, won in each]) for each in (trials, shuffled)
    )
    assert ours is not None
    assert theirs is not None
    assert ours.interval == theirs.interval
    assert ours.interval.low <= ours.interval.high


def test_a_success_bears_what_the_failures_cost() -> None:
    estimate = per_success([10, 10, 10, 10], [True, True, False, False])
    assert estimate is not None
    assert estimate.value == 20
    assert estimate.interval.low < 20 < estimate.interval.high


def test_without_a_success_there_is_no_price() -> None:
    estimate = per_success([10, 20], [False, False])
    assert estimate is not None
    assert not estimate.finite
    assert estimate.interval == Interval(inf, inf)
    rare = per_success([10] * 20, [True] + [False] * 19)
    assert rare is not None
    assert rare.finite
    assert isinf(rare.interval.high)
