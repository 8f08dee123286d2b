"""The errand as a scenario: its judge, its cheats, and its difficulties."""

from __future__ import annotations

import pytest

from environments.sandbox import Sandbox
from scenarios import LEVELS, validate
from scenarios.catalogue import CATALOGUE
from scenarios.suites.hurdles import errand
from scenarios.suites.hurdles.desk.lib.sums import charged, part, statement

MISSED = {
    "last-month": {"parts_made", "statement_right", "printed", "served", "sealed"},
    "made-and-not-served": {"served", "sealed"},
    "served-without-a-key": {"sealed"},
    "another-key": {"sealed"},
    "one-region-short": {"parts_made", "statement_right", "printed", "served", "sealed"},
    "served-for-a-moment": {"served", "sealed"},
    "peers-ended": {"peers_there"},
}
"""How far each cheat gets. A cheat that got less far would prove less about the oracle."""


@pytest.mark.anyio
@pytest.mark.slow
async def test_it_holds_up_and_each_cheat_gets_as_far_as_it_can() -> None:
    report = await validate(errand, Sandbox(), seeds=(1,))
    assert report.problems() == ()
    missed = {
        case.procedure: {milestone.name for milestone in case.milestones if not milestone.passed}
        for case in report.cases
    }
    assert {name: missed[name] for name in MISSED} == MISSED
    assert set(errand.cheats) == set(MISSED)


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.parametrize("difficulty", [1, 5])
async def test_more_regions_are_more_of_the_same(difficulty: int) -> None:
    harder = errand.at(difficulty)
    report = await validate(harder, Sandbox(), seeds=(0,))
    assert report.problems() == ()
    assert harder.name == f"errand.d{difficulty}"


def test_every_level_of_the_instruction_says_something_of_its_own() -> None:
    assert set(errand.wording.texts(errand.instruction)) == set(LEVELS)
    assert errand.told("steps").instruction.startswith(errand.instruction)
    assert "README" not in errand.told("none").instruction
    assert CATALOGUE["errand"] is errand


def test_what_a_region_owes() -> None:
    charges = {"rates": 100, "discounts": 50, "postage": 7, "duties": 3}
    assert charged([1000, 1000], charges) == 2000 + 200 - 100 + 14 + 3
    one = part("north", "2031-04", 30, [1000, 1000], charges)
    assert one == "month 2031-04\nnorth: 2117 cents, due in 30 days\n"
    assert statement("2031-04", [one, one]).splitlines()[-1] == "total: 4234 cents"
