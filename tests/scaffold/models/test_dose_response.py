"""A small version of example 09: what the simulated subject cannot do without, on real machines."""

from __future__ import annotations

import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablation import run_study
from scaffold.models import parse_subject

if TYPE_CHECKING:
    from ablation import Study

pytestmark = pytest.mark.anyio

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "09_dose_response.py"
SEEDS = 4


async def test_repair_gets_past_hurdles_and_exploring_finds_facts(tmp_path: Path) -> None:
    """The draws are those of the seeds, so the counts are the same each time."""
    study: Study = runpy.run_path(str(EXAMPLE))["study"]
    names = ("errand.missing-file1", "errand.missing-file3", "find-fact.d2")
    small = replace(
        study,
        scenarios=[each for each in study.scenarios if each.name in names],
        seeds=range(SEEDS),
        subject=parse_subject("simulated:capable"),
    )
    result = await run_study(small, tmp_path / "out")
    won = Counter((r.arm, r.scenario) for r in result.records if r.outcome == "success")
    assert not result.voids
    assert [won["full", name] for name in names] == [SEEDS] * 3
    assert won["no-repair", names[1]] <= won["no-repair", names[0]] < SEEDS
    assert won["no-repair", names[1]] == 0
    assert won["no-explore", names[2]] == 0
