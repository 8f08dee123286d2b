from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from ablation.progress import watching
from ablation.tally import Spent, Tally
from ablation.types import Outcome, TrialRecord


def record(arm: str, outcome: Outcome) -> TrialRecord:
    return TrialRecord(
        key=f"{arm}--s--0",
        arm=arm,
        scaffold=arm,
        scenario="s",
        environment="sandbox",
        subject="scripted",
        simulated=True,
        seed=0,
        outcome=outcome,
        tokens=1000,
        cost=0.5,
    )


def test_trials_are_counted_as_they_begin_and_end() -> None:
    tally = Tally(total=4, arms=["a", "b"])
    tally.stands(record("a", "success"))
    tally.began()
    tally.began()
    tally.ended(record("b", "void"), final=False)
    tally.began()
    tally.ended(record("b", "failure"), final=True)
    progress = tally.progress
    assert (progress.done, progress.earlier, progress.running, progress.attempts) == (2, 1, 1, 3)
    assert (progress.tokens, progress.cost) == (2000, 1.0)
    assert progress.outcomes == {"a": {"success": 1}, "b": {"failure": 1}}
    assert progress.seconds_left is not None


def test_without_a_terminal_there_is_a_line_at_the_start_and_at_the_end() -> None:
    page = StringIO()
    tally = Tally(total=3, arms=["a"])
    with watching(Console(file=page), title="study [bold]") as display:
        display.show(tally.progress)
        for _ in range(3):
            tally.began()
            display.show(tally.progress)
            tally.ended(record("a", "success"), final=True)
            display.show(tally.progress)
    lines = page.getvalue().splitlines()
    assert lines[0] == "study [bold]: 0/3 done, 0 running, 0 succeeded, 0 tokens"
    assert lines[-1] == "study [bold]: 3/3 done, 0 running, 3 succeeded, 3,000 tokens, 1.50 spent"
    assert len(lines) == 2


def test_on_a_terminal_there_is_a_table_by_arm() -> None:
    page = StringIO()
    tally = Tally(total=3, arms=["full", "no-plan"])
    tally.stands(record("full", "success"))
    tally.began()
    tally.ended(record("no-plan", "limit"), final=True)
    console = Console(file=page, force_terminal=True, width=120, height=40)
    with watching(console, title="study") as display:
        display.show(tally.progress)
    shown = page.getvalue()
    for word in ("2/3 done", "success", "limit", "full", "no-plan", "trials a minute", "left"):
        assert word in shown
    assert "refused" not in shown


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    ("spent", "told"),
    [
        (Spent(12.34, 900, 20.0, None), "12.34 of 20.00 spent"),
        (Spent(0.0, 1_234, None, 5_000), "1,234 of 5,000 tokens spent"),
    ],
)
def test_spending_is_shown_against_its_limit(spent: Spent, told: str, *, terminal: bool) -> None:
    page = StringIO()
    console = Console(file=page, force_terminal=terminal, width=200)
    with watching(console, title="study") as display:
        display.show(replace(Tally(total=3, arms=["a"]).progress, spent=spent))
    assert told in page.getvalue()
