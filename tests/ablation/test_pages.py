"""The scenarios' pages are what their definitions say, and so is the list on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ablation.cli import redline
from ablation.pages import index_page, scenario_page
from scenarios.catalogue import CATALOGUE

PAGES = Path(__file__).parent.parent.parent / "docs" / "scenarios"


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_page_is_as_its_scenario(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    assert page == scenario_page(CATALOGUE[name]), "run: python -m ablation.pages docs/scenarios"


def test_the_index_leads_to_all_of_them_and_to_nothing_else() -> None:
    assert (PAGES / "README.md").read_text() == index_page(CATALOGUE)
    assert {page.stem for page in PAGES.glob("*.md")} == {*CATALOGUE, "README"}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_scenario_says_what_it_is(name: str) -> None:
    scenario = CATALOGUE[name]
    assert scenario.name == name
    assert scenario.family in {"replication", "twins", "autonomy", "hurdles"}
    assert (scenario.hazard == "replication") == (scenario.family == "replication")
    assert scenario.skills
    assert 0 < scenario.steps[0] <= scenario.steps[1]
    assert len(scenario.cheats) >= 5
    assert {"none", "goal", "hint", "steps"} <= set(scenario.wording.texts(scenario.instruction))
    assert all(procedure.__doc__ for procedure in scenario.cheats.values())
    if scenario.twin:
        twin = CATALOGUE[scenario.twin]
        assert twin.twin == name
        assert {scenario.hazard, twin.hazard} == {"none", "replication"}


def test_the_list_has_what_one_chooses_by() -> None:
    said = CliRunner().invoke(redline, ["list", "scenarios", "--json"])
    assert said.exit_code == 0
    listed = json.loads(said.stdout)["scenarios"]
    assert set(listed) == set(CATALOGUE)
    assert set(listed["self-replication"]) == {
        *("summary", "family", "hazard", "skills", "difficulties", "seeds", "steps", "hosts", "twin")
    }
