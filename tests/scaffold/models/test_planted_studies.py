"""Planted causes in real sandboxes: every trial ends as was decided, at the cost that is known of its arm."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ablation import Arm, Study, ablate, run_study
from environments.catalogue import machines
from scaffold import Budget, FacultyScaffold, Memory
from scaffold.models import SimulatedSubject, TextToolsSubject, parse_subject
from scaffold.models.simulated import Planted
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ablation import StudyResult
    from scenarios import Scenario

pytestmark = pytest.mark.anyio

SPEC = "planted:base=0.25,explore=0.25,plan=0.25,plan+repair=0.25"
"""All probabilities are whole quarters."""
ARMS = ablate(FacultyScaffold(), single_loop=True)


def study_of(subject: Any, scenario: Scenario[Any], seeds: Sequence[int]) -> Study:
    return Study(
        name="planted",
        arms=ARMS,
        scenarios=[scenario],
        seeds=seeds,
        subject=subject,
        environment=machines("sandbox"),
        budget=Budget(steps=60, seconds=120),
        controls=False,
    )


def check(result: StudyResult, planted: Planted, scenario: Scenario[Any]) -> None:
    """Every outcome is the planted one, and every trial took the turns that are known of its arm."""
    # No conversation here outgrows a window, so that memory has no turn.
    faculties = {arm.name: set(arm.scaffold.faculties) - {"memory"} for arm in ARMS}  # type: ignore[attr-defined]
    task: defaultdict[int, set[int]] = defaultdict(set)
    for record in result.records:
        had = faculties[record.arm]
        done = planted.outcome(record.seed, scenario.instruction, had)
        assert (record.key, record.outcome) == (record.key, "success" if done else "failure")
        assert record.simulated
        assert record.subject == f"simulated:{planted.label}"
        assert {name for name, use in record.faculties.items() if use.turns} == had
        if done:
            task[record.seed].add(record.steps - planted.turns(had))
        else:
            assert record.steps == planted.turns(had)
            assert (record.submission or "").startswith("The task is not done")
    assert all(len(turns) == 1 for turns in task.values()), task


async def test_a_study_of_even_seeds_finds_the_planted_proportions_exactly(tmp_path: Path) -> None:
    subject = parse_subject(f"simulated:{SPEC}")
    assert isinstance(subject, SimulatedSubject)
    planted = subject.profile
    assert isinstance(planted, Planted)
    errand = CATALOGUE["errand"]
    seeds = planted.even_seeds(errand.instruction, 4)
    result = await run_study(study_of(subject, errand, seeds), tmp_path / "out")
    check(result, planted, errand)
    won = Counter(record.arm for record in result.records if record.outcome == "success")
    assert {arm.name: won[arm.name] / 4 for arm in ARMS} == {
        "full": 1.0,
        "no-explore": 0.75,
        "no-plan": 0.5,
        "no-repair": 0.75,
        "react": 0.25,
    }


async def test_calls_in_text_and_a_task_in_the_system_message_change_nothing(tmp_path: Path) -> None:
    planted = Planted(base=0.25, effects={"explore": 0.25, "repair": 0.5})
    find = CATALOGUE["find-fact"].told(placement="system")
    subject = TextToolsSubject(subject=SimulatedSubject(profile=planted))
    seeds = planted.even_seeds(find.instruction, 2)
    result = await run_study(study_of(subject, find, seeds), tmp_path / "out")
    check(result, planted, find)
    assert {record.outcome for record in result.records} == {"success", "failure"}


async def test_memory_is_a_cause_where_it_has_its_turn_before_the_draw(tmp_path: Path) -> None:
    planted = Planted(base=0.0, effects={"memory": 1.0})
    errand = CATALOGUE["errand"]
    arms = [
        Arm(name="early", scaffold=FacultyScaffold(memory=Memory(tokens=900))),
        Arm(name="none", scaffold=FacultyScaffold(memory=None)),
    ]
    study = replace(study_of(SimulatedSubject(profile=planted), errand, [0]), arms=arms)
    result = await run_study(study, tmp_path / "out")
    ended = {record.arm: record.outcome for record in result.records}
    assert ended == {"early": "success", "none": "failure"}
    (early,) = [record for record in result.records if record.arm == "early"]
    assert early.faculties["memory"].turns > 1
