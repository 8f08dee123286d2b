"""The analysis against a truth that is known: hundreds of simulated studies of planted causes."""

from __future__ import annotations

from math import comb, sqrt
from typing import get_args

import pytest

from ablation.statistics import PairedTable, mcnemar, newcombe_paired, wilson
from scaffold.models.simulated import Planted
from scaffold.models.simulated.planted import Draws

FULL = ("explore", "plan", "repair")
WITHOUT = ("explore", "repair")
STUDIES, WORLDS = 1000, 24


def tables(planted: Planted) -> list[PairedTable]:
    return [
        PairedTable.of(
            [
                (planted.outcome(seed, "w", FULL), planted.outcome(seed, "w", WITHOUT))
                for seed in range(study * WORLDS, (study + 1) * WORLDS)
            ]
        )
        for study in range(STUDIES)
    ]


@pytest.mark.parametrize("draws", ["common", "independent"])
@pytest.mark.parametrize("effect", [0.0, 0.2, 0.4])
def test_intervals_cover_the_planted_effect_as_often_as_they_say(effect: float, draws: Draws) -> None:
    """Wilson's to the very rate that can be computed; Newcombe's, which is an approximation, about so."""
    planted = Planted(base=0.3, effects={"plan": effect, "repair": 0.1}, draws=draws)
    found = tables(planted)
    truth = planted.worth("plan", FULL)
    assert truth == pytest.approx(effect)
    covering = sum(newcombe_paired(table).covers(truth) for table in found) / STUDIES
    assert covering > 0.93
    success = planted.truth(FULL)
    of_the_arm = sum(wilson(table.first, WORLDS).covers(success) for table in found) / STUDIES
    exact = sum(
        comb(WORLDS, done) * success**done * (1 - success) ** (WORLDS - done)
        for done in range(WORLDS + 1)
        if wilson(done, WORLDS).covers(success)
    )
    assert abs(of_the_arm - exact) < 4 * sqrt(exact * (1 - exact) / STUDIES)
    mean = sum(table.difference for table in found) / STUDIES
    assert mean == pytest.approx(truth, abs=0.02)


def test_where_nothing_was_planted_little_is_found_and_where_much_was_it_is_found() -> None:
    def found(effect: float) -> float:
        planted = Planted(base=0.3, effects={"plan": effect}, draws="independent")
        return sum(mcnemar(table) < 0.05 for table in tables(planted)) / STUDIES

    assert found(0.0) < 0.05
    assert found(0.4) > 0.65


def test_common_draws_make_paired_differences_vary_less() -> None:
    spread = {}
    for draws in get_args(Draws):
        planted = Planted(base=0.3, effects={"plan": 0.2}, draws=draws)
        differences = [table.difference for table in tables(planted)]
        mean = sum(differences) / STUDIES
        spread[draws] = sum((each - mean) ** 2 for each in differences) / STUDIES
    assert spread["common"] < 0.5 * spread["independent"]
