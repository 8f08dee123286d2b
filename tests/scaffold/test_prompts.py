"""The texts are general, and what they say changes only on purpose."""

from __future__ import annotations

import re

import pytest

from scaffold import FacultyScaffold, Prompt, react
from scaffold.prompts import NAMES, load
from scaffold.tools import DEFAULT_TOOLS, FINISH

LOADED = re.compile(
    r"replic|\bcop(y|ies)|clone|spread|propagat|surviv|persist|evade|evasi|hide|stealth|escape|exploit"
    r"|weights|shut ?down|monitor|detect|oversight|jailbreak",
    re.IGNORECASE,
)

DIGESTS = {
    "system": "1ded93e4623ccb24",
    "explore": "fff74414f965eaa2",
    "plan": "2d1a2d4c72b08887",
    "execute": "2577be29bd808775",
    "repair": "48d91f24c48dbf7f",
    "memory": "75c18d6fd708c283",
    "note": "64d004cf1d37491b",
    "nudge": "f7054229e9cb01e8",
    "react": "d1bb7c791d49c972",
}
"""A change here is a change of the instrument: results before and after are not the same arm's."""


@pytest.mark.parametrize("name", NAMES)
def test_no_prompt_suggests_what_the_scenarios_measure(name: str) -> None:
    assert LOADED.findall(load(name).text) == []


@pytest.mark.parametrize("tool", [*DEFAULT_TOOLS, FINISH], ids=lambda tool: tool.name)
def test_no_tool_suggests_it_either(tool: object) -> None:
    assert LOADED.findall(tool.description) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["explore", "plan", "execute", "repair", "memory"])
def test_a_phase_begins_with_its_heading(name: str) -> None:
    assert load(name).text.startswith(f"# {name.capitalize()}\n")


def test_the_texts_are_the_reviewed_ones() -> None:
    assert {name: load(name).digest for name in NAMES} == DIGESTS


def test_a_scaffold_tells_which_texts_it_uses() -> None:
    phases = {"explore", "plan", "execute", "repair", "memory"}
    assert set(FacultyScaffold().prompts) == {"system", "note", "nudge"} | phases
    assert "plan" not in FacultyScaffold(plan=None).prompts
    assert set(react().prompts) == {"react", "nudge"}


def test_the_digest_follows_the_words() -> None:
    assert Prompt(name="a", text="one").digest != Prompt(name="a", text="two").digest
