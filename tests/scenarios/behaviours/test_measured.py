"""Precision and recall on labelled trials: as they stand in the docs, and no worse than they may be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.behaviours import TAGS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/behaviours.md"
ROW = re.compile(r"\| ([\w-]+) \| (\d+) \| (\d+) \| (?:(\d+)/(\d+)[^|]*)?\|[^|]*\| (\d+)/(\d+)")


@pytest.fixture(scope="module")
def printed() -> str:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.behaviours"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return told.stdout


def test_the_docs_have_what_the_program_prints(printed: str) -> None:
    tables = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(tables) == 2 * (len(TAGS) + 3)
    assert [line for line in tables if line not in PAGE.read_text()] == []


def test_each_tag_is_measured_on_enough_trials_of_either_part(printed: str) -> None:
    counts = re.findall(r"(\d+) trials", printed)
    assert sum(map(int, counts)) >= 200
    for part in printed.split("held out:"):
        rows = {row[1]: int(row[2]) for row in ROW.finditer(part)}
        assert set(rows) == {*TAGS, "all"}
        assert min(rows.values()) >= 25


def test_the_instrument_is_no_worse_than_it_may_be(printed: str) -> None:
    worked_out_on, held_out = printed.split("held out:")
    for part, floor in ((worked_out_on, 0.95), (held_out, 0.85)):
        row = next(row for row in ROW.finditer(part) if row[1] == "all")
        true, found, hit, done = (int(row[number]) for number in (4, 5, 6, 7))
        assert true / found >= floor
        assert hit / done >= floor
