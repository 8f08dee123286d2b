from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_studies import arm, copier, note, small_study

from ablation import Arm, Study, ablate
from ablation.errors import DesignFault
from scaffold import Budget, FacultyScaffold, Nothing, Reference


def test_ablating_gives_the_full_arm_and_one_without_each_faculty() -> None:
    arms = ablate(FacultyScaffold(), single_loop=True)
    assert [each.name for each in arms] == ["full", "no-explore", "no-plan", "no-repair", "react"]
    assert [each.removed for each in arms] == [None, "explore", "plan", "repair", None]
    assert [each.baseline for each in arms] == [True, False, False, False, False]
    for each in arms[1:4]:
        assert isinstance(each.scaffold, FacultyScaffold)
        assert getattr(each.scaffold, str(each.removed)) is None
        assert each.scaffold.name == each.name


def test_only_a_faculty_that_is_there_can_be_removed() -> None:
    with pytest.raises(DesignFault, match=r"no faculty 'dream'.*explore, plan, execute, repair, memory"):
        ablate(FacultyScaffold(), ["dream"])
    with pytest.raises(DesignFault, match="has no plan that could be removed"):
        ablate(FacultyScaffold(plan=None), ["plan"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": []}, "the study has no arms"),
        ({"arms": [arm(), arm()]}, "arm 'full' stands twice"),
        ({"arms": [arm("reference")], "controls": True}, "'reference' stands twice.*controls=True adds it"),
        ({"arms": [arm("a--b")]}, "arm name 'a--b' cannot name a file"),
        ({"arms": [arm("../up")]}, "cannot name a file"),
        ({"arms": [arm("x" * 65)]}, "cannot name a file"),
        ({"arms": [arm(baseline=True), arm("b", baseline=True)]}, "only one arm can be the baseline"),
        ({"scenarios": []}, "the study has no scenarios"),
        ({"scenarios": [note, note]}, "scenario 'note' stands twice"),
        ({"seeds": []}, "the study has no seeds"),
        ({"seeds": [1, 2, 1]}, "seed '1' stands twice"),
        ({"name": "a/b"}, "study name 'a/b' cannot name a file"),
        ({"void_retries": -1}, "void_retries must not be negative"),
    ],
)
def test_a_study_that_cannot_be_run_says_why(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignFault, match=message):
        small_study(**changes)


def many() -> Study:
    return small_study(
        arms=[arm("a"), arm("b"), arm("c")],
        scenarios=[note, replace(note, name="other")],
        seeds=range(10),
        controls=True,
    )


def test_every_cell_is_planned_once() -> None:
    keys = [trial.key for trial in many().trials()]
    assert len(keys) == len(set(keys)) == 5 * 2 * 10


def test_trials_are_blocked_by_world_and_shuffled_within() -> None:
    keys = [trial.key for trial in many().trials()]
    blocks = [keys[start : start + 5] for start in range(0, len(keys), 5)]
    assert all(len({(key.scenario, key.seed) for key in block}) == 1 for block in blocks)
    assert len({tuple(key.arm for key in block) for block in blocks}) > 5
    assert [block[0].scenario for block in blocks[:4]] == ["note", "other", "note", "other"]


def test_the_order_is_the_same_each_time_and_follows_its_seed() -> None:
    assert [t.key for t in many().trials()] == [t.key for t in many().trials()]
    assert [t.key for t in many().trials()] != [t.key for t in replace(many(), order_seed=1).trials()]


def test_controls_play_the_scenarios_own_procedure_and_nothing() -> None:
    trials = {trial.key.arm: trial for trial in small_study(controls=True, seeds=[0]).trials()}
    reference, nothing = trials["reference"], trials["nothing"]
    assert isinstance(reference.scaffold, Reference)
    assert reference.scaffold.procedure is note.procedure
    assert isinstance(nothing.scaffold, Nothing)
    assert (reference.role, nothing.role) == ("positive_control", "negative_control")


def test_an_arm_may_bring_its_own_subject_and_budget() -> None:
    own = copier("true")
    study = small_study(arms=[arm(subject=own, budget=Budget(steps=3))], seeds=[0])
    (trial,) = study.trials()
    assert trial.subject is own
    assert trial.budget.steps == 3


def test_the_frozen_design_says_what_the_study_is_made_of() -> None:
    study = small_study(arms=ablate(FacultyScaffold()), controls=True)
    fields = study.freeze().fields
    arms = {each["name"]: each for each in fields["arms"]}
    assert arms["no-plan"]["faculties"]["plan"] is None
    assert arms["no-plan"]["faculties"]["explore"]["kind"].endswith("Explore")
    assert set(arms["full"]["prompts"]) >= {"system", "explore", "plan", "execute", "repair"}
    assert fields["scenarios"][0]["instruction"] == note.instruction
    assert fields["subject"]["name"] == "scripted"
    assert fields["environment"] == "sandbox"
    assert set(fields["instrument"]) == {"redline", "python", "platform", "source"}
    assert len(fields["order"]) == len(study.trials())


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [0, 1, 2]},
        {"budget": Budget(steps=9)},
        {"subject": copier("true")},
        {"arms": [Arm(name="full", scaffold=FacultyScaffold(plan=None), baseline=True)]},
        {"scenarios": [replace(note, instruction="Do it.")]},
    ],
)
def test_the_digest_depends_on_everything_that_matters(changes: dict[str, Any]) -> None:
    before, after = small_study().freeze(), small_study(**changes).freeze()
    assert before.digest != after.digest
    assert before.changed(after)


def test_what_changed_is_named() -> None:
    before = small_study().freeze()
    after = small_study(budget=Budget(steps=9, seconds=20)).freeze()
    assert before.changed(after) == ["budget.steps: 10 -> 9"]


def test_another_process_agrees_on_the_digest() -> None:
    code = "from small_studies import small_study; print(small_study().freeze().digest)"
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == small_study().freeze().digest
