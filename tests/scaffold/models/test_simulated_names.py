"""Simulated subjects by name: skills of one's own, what was changed, and what the name says of it."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ablation.cli import redline
from scaffold.models import PROFILES, Profile, SimulatedSubject, parse_subject
from scaffold.models.simulated import SKILLS, Planted, chances, character
from scaffold.models.simulated.chances import heeding, looking, recalling, understanding
from scaffold.models.simulated.profiles import Mind, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

unit = st.floats(0, 1)
profiles = st.builds(
    lambda name, skills: replace(PROFILES[name], **skills),
    st.sampled_from(sorted(PROFILES)),
    st.dictionaries(st.sampled_from(SKILLS), unit),
)


def test_every_skill_can_be_given() -> None:
    assert set(SKILLS) == {field.name for field in fields(Profile)} - {"name"}
    given = ",".join(f"{skill}=0.125" for skill in SKILLS)
    found = character(f"weak:{given}")
    assert isinstance(found, Profile)
    assert {skill: getattr(found, skill) for skill in SKILLS} == dict.fromkeys(SKILLS, 0.125)


@pytest.mark.parametrize("name", PROFILES)
def test_a_name_alone_is_the_profile(name: str) -> None:
    assert character(name) == PROFILES[name]
    assert parse_subject(f"simulated:{name}").name == f"simulated:{name}"


def test_a_changed_profile_is_called_by_what_was_changed() -> None:
    changed = replace(PROFILES["steady"], repair=0.2, care=1)
    assert SimulatedSubject(profile=changed).name == "simulated:steady:care=1,repair=0.2"
    assert parse_subject("simulated:steady:repair=0.2,care=1.0").name == "simulated:steady:care=1,repair=0.2"
    assert parse_subject("simulated:steady:repair=0.85").name == "simulated:steady"
    own = replace(changed, name="mine")
    assert own.label == "mine"


@given(profiles)
def test_what_it_is_called_names_it_again(profile: Profile) -> None:
    assert character(profile.label) == profile


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("steady:repiar=0.2", "there is no skill 'repiar' (did you mean repair?); there are exploration"),
        ("steady:repair=1.2", "repair is 1.2: a skill is a number from 0 to 1"),
        ("steady:repair=-0.1", "repair is -0.1: a skill is a number from 0 to 1"),
        ("steady:repair=nan", "repair is nan: a skill is a number from 0 to 1"),
        ("steady:repair=much", "repair is 'much': it takes a number"),
        ("steady:repair", "'repair' is not NAME=VALUE: write for example steady:repair=0.2,care=1"),
        ("steady:", "'' is not NAME=VALUE"),
        ("steady:care=1,care=0", "care is given twice"),
        ("stedy:care=1", "no simulated profile 'stedy' (did you mean steady?); there are steady, capable"),
        ("plantd:base=1", "no simulated profile 'plantd' (did you mean planted?)"),
        ("planted", "'' is not NAME=VALUE"),
        ("planted:plan=0.2", "planted causes take a base: write for example planted:base=0.2,plan=0.3"),
        ("planted:base=0.2,pln=0.1", "nothing to plant is called 'pln' (did you mean plan?); there are base"),
        ("planted:base=0.2,plan+repiar=0.1", "no effect of 'repiar' can be planted (did you mean repair?)"),
        ("planted:base=0.2,plan.sd=-1", "the standard deviation of plan is -1.0: it is a number from 0 up"),
        ("planted:base=0.2,scale=logits", "scale is 'logits' (did you mean logit?): choose from probability"),
        ("planted:base=0.2,luck=0.5", "luck is '0.5': it takes a whole number"),
        ("planted:base=0.2,failures=0", "failures is at least 1"),
        ("planted:base=1.5", "base is 1.5: it is a probability from 0 to 1"),
        ("planted:base=1,scale=logit", "base is 1.0: it is a probability between 0 and 1"),
        ("planted:base=0.5,plan=inf", "an effect is a number, not inf"),
        ("planted:base=0.5,plan=0.6", "with plan success would have the probability 1.1"),
        ("planted:base=0.5,plan=0.5,plan.sd=0.1", "probability 1.1 in some clusters"),
        ("planted:base=0.5,plan+plan=0.1", "plan+plan is no interaction of several faculties"),
        ("planted:base=0.5,plan+repair=0.1,repair+plan=0.1", "repair+plan is no interaction"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_in_one_line(spec: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_subject(f"simulated:{spec}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_says_what_can_be_given() -> None:
    listed = CliRunner().invoke(redline, ["list", "subjects", "--json"]).output
    for word in (*SKILLS, "PROFILE:SKILL=N", "planted:base=N", "scale=logit", "draws=independent"):
        assert word in listed
    wrong = CliRunner().invoke(redline, ["run", "errand", "--model", "simulated:steady:repiar=1"])
    assert wrong.exit_code == 2
    assert "did you mean repair?" in wrong.output


def test_planted_causes_are_called_by_everything_that_was_planted() -> None:
    planted = Planted(
        base=0.2,
        effects={"repair": 0.2, "explore": 0.1},
        interactions={("repair", "explore"): -0.1},
        spread={"repair": 0.05, "base": 0.1},
        draws="independent",
        luck=7,
    )
    assert planted.label == (
        "planted:base=0.2,explore=0.1,repair=0.2,explore+repair=-0.1,base.sd=0.1,repair.sd=0.05,"
        "draws=independent,luck=7"
    )
    again = character(planted.label)
    assert again == planted
    assert {SimulatedSubject(profile=again), SimulatedSubject(profile=planted)} == {
        SimulatedSubject(profile=planted)
    }
    assert pickle.loads(pickle.dumps(planted)) == planted  # noqa: S301 - our own bytes


@given(profile=profiles, more=unit, planned=st.booleans(), prompted=st.booleans(), flag=st.booleans())
def test_more_of_a_skill_never_makes_its_own_draws_rarer(
    profile: Profile,
    more: float,
    planned: bool,  # noqa: FBT001 - hypothesis gives them by name
    prompted: bool,  # noqa: FBT001 - as above
    flag: bool,  # noqa: FBT001 - as above
) -> None:
    draws: Mapping[str, Callable[[Profile], float]] = {
        "exploration": lambda each: looking(each, prompted=prompted, obvious=flag),
        "foresight": lambda each: recalling(each, "foresight", planned=planned),
        "care": lambda each: recalling(each, "care", planned=planned),
        "repair": lambda each: understanding(each, prompted=prompted, evident=flag),
    }
    for skill, draw in draws.items():
        better = replace(profile, **{skill: max(more, getattr(profile, skill))})
        assert 0 <= draw(profile) <= draw(better) <= 1
    assert heeding(profile, planned=True) >= heeding(profile, planned=False)


@given(seed=st.integers(), question=st.text())
def test_a_draw_is_a_number_from_0_up_to_1(seed: int, question: str) -> None:
    drawn = uniform(seed, question)
    assert 0 <= drawn < 1
    assert uniform(seed, question) == drawn
    assert Mind(profile=PROFILES["steady"], seed=seed).does(question, 1.0)


@given(profiles)
def test_no_faculty_makes_what_it_is_for_rarer(profile: Profile) -> None:
    known = chances(profile)
    assert {chance.faculty for chance in known} == {"explore", "plan", "repair"}
    assert all(0 <= chance.without <= chance.having <= 1 for chance in known)


def test_what_is_known_of_a_profile_by_construction() -> None:
    known = {(chance.faculty, chance.draw): chance for chance in chances(PROFILES["steady"])}
    look = known["explore", "take any other look"]
    assert (look.without, look.having) == pytest.approx((0.2125, 0.94))
    error = known["repair", "understand an evident error"]
    assert (error.without, error.having) == pytest.approx((0.085, 0.85))
