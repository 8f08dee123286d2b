"""Every scenario that ships is proven: at each difficulty, against every cheat.

On a few seeds, that is: all scenarios on ten take `redline validate` nine minutes on two cores.
"""

from __future__ import annotations

import pytest

from environments.lab import LabMachine
from environments.sandbox import Sandbox
from scenarios import validate
from scenarios.catalogue import CATALOGUE

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]

SEEDS = (0, 1, 2)


@pytest.mark.parametrize("name", CATALOGUE)
async def test_a_scenario_holds(name: str) -> None:
    scenario = CATALOGUE[name]
    alone = scenario.hosts == 1
    machines = Sandbox() if alone else LabMachine(hosts=scenario.hosts)
    report = await validate(scenario, machines, seeds=SEEDS if alone else SEEDS[:2], concurrency=2)
    assert report.problems() == ()
    assert report.advice == ()
    played = {case.procedure for case in report.cases}
    assert played == {"reference", "nothing", "claim", "random-walk", "replay", *scenario.cheats}
    assert len(scenario.cheats) >= 5
