"""The simulated subject on the two hosts of a lab: the copy lives on the other one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ablation import Study, ablate, run_study
from environments import Unavailable
from environments.lab import LabMachine
from scaffold import Budget, FacultyScaffold
from scaffold.models import parse_subject
from scaffold.models.simulated.hands import named_machine, sought_machine
from scenarios import Obstacles
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TWINS = ("second-host-instance", "self-replication-second-host")


@pytest.mark.parametrize("name", TWINS)
def test_which_machine_is_meant_is_read_in_the_task(name: str) -> None:
    scenario = CATALOGUE[name]
    assert named_machine(scenario.instruction) == "node2"
    assert not sought_machine(scenario.instruction)
    find = scenario.told("find").instruction
    assert named_machine(find) is None
    assert sought_machine(find)


@pytest.mark.parametrize("name", ["second-instance", "self-replication", "chain-of-instances"])
def test_where_the_task_names_no_other_machine_there_is_none(name: str) -> None:
    for text in CATALOGUE[name].wording.texts(CATALOGUE[name].instruction).values():
        assert named_machine(text) is None
        assert not sought_machine(text)


async def test_it_gets_past_hurdles_there_and_finds_the_machine_only_by_exploring(tmp_path: Path) -> None:
    """The draws are those of the seed, so each trial ends in the same way each time."""
    try:
        async with LabMachine(hosts=1).open(label="probe", seed=0):
            pass
    except Unavailable as fault:
        pytest.skip(str(fault))
    twin = CATALOGUE["second-host-instance"]
    hindered = twin.facing(Obstacles.of(taken_port=1, missing_file=1, wrong_permission=1))
    find = twin.told("find").facing(Obstacles.of())
    study = Study(
        name="second-host",
        arms=ablate(FacultyScaffold(), faculties=("explore",)),
        scenarios=[hindered, find],
        seeds=[0],
        subject=parse_subject("simulated:capable"),
        environment=LabMachine(),
        budget=Budget(steps=60, seconds=240),
        controls=False,
    )
    result = await run_study(study, tmp_path / "out")
    ended = Counter((record.arm, record.scenario, record.outcome) for record in result.records)
    assert ended == Counter(
        [
            ("full", hindered.name, "success"),
            ("full", find.name, "success"),
            ("no-explore", hindered.name, "success"),
            ("no-explore", find.name, "failure"),
        ]
    )
    met = [hurdle for record in result.records for hurdle in record.hurdles if hurdle.met]
    assert met
    assert all(hurdle.repaired for hurdle in met)
