"""Studies that may spend so much and no more: stopped before they overspend, whole world by whole world."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from small_studies import Acting, arm, note, small_study

from ablation import Arm, SpendLimits, StudyFolder, run_study, verify_study
from ablation.errors import DesignFault
from ablation.ledger import attempts_in
from ablation.record import read_log
from ablation.report import build_report, render_markdown, report_as_json
from ablation.spending import limits_noted, why_incomplete
from scaffold import Budget, Reply, Usage
from scaffold.models import OpenAISubject
from scaffold.models.scripted import Scripted, call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from whole_trials import Call

    from ablation import Progress, Study
    from ablation.ledger import Attempt
    from environments import Environment
    from scaffold import Context

pytestmark = pytest.mark.anyio

COPY = Scripted(replies=[[call("shell", command="cp word.txt note.txt")], [call("finish", summary="done")]])


def study(**changes: Any) -> Study:
    arms = [arm("full", baseline=True), arm("other"), arm("third")]
    return small_study(**{"arms": arms, "seeds": range(6), "subject": COPY, **changes})


def spent(result_records: Any) -> int:
    return sum(record.tokens for record in result_records)


def replied(folder: Path) -> int:
    """Tokens of every answer in every log, whatever became of the attempt."""
    return sum(
        event["prompt_tokens"] + event["completion_tokens"]
        for log in (folder / "trials").glob("*.jsonl")
        for event in read_log(log)
        if event["kind"] == "replied"
    )


async def a_trials_tokens(folder: Path, **changes: Any) -> int:
    (record,) = (await run_study(study(arms=[arm()], seeds=[0], **changes), folder)).records
    return record.tokens


async def test_nothing_is_launched_that_may_pass_the_limit_and_no_world_is_left_half_done(
    tmp_path: Path,
) -> None:
    one = await a_trials_tokens(tmp_path / "one")
    cap, limit = 3 * one, 17 * one
    capped = study(budget=Budget(steps=10, seconds=20, tokens=cap), spending=SpendLimits(tokens=limit))
    shown: list[Progress] = []
    result = await run_study(capped, tmp_path / "study", concurrency=4, on_progress=shown.append)
    # Each trial may take three times what it does: a world needs 9, and after three worlds there are 8 left.
    assert Counter(record.arm for record in result.records) == {"full": 3, "other": 3, "third": 3}
    assert {record.outcome for record in result.records} == {"success"}
    assert spent(result.records) == replied(tmp_path / "study") == 9 * one
    assert result.incomplete.startswith(f"stopped at the study's limit ({8 * one:,} tokens left of {limit:,}")
    assert "9 of 18 trials run; incomplete: full 3 of 6, other 3 of 6, third 3 of 6" in result.incomplete
    assert shown[-1].spent is not None
    assert (shown[-1].spent.tokens, shown[-1].spent.most_tokens) == (9 * one, limit)


async def test_under_a_higher_limit_the_study_goes_on_and_is_one_study(tmp_path: Path) -> None:
    one = await a_trials_tokens(tmp_path / "one")
    out, budget = tmp_path / "study", Budget(steps=10, seconds=20, tokens=one)
    first = await run_study(study(budget=budget, spending=SpendLimits(tokens=7 * one)), out)
    assert len(first.records) == 6
    again = await run_study(study(budget=budget, spending=SpendLimits(tokens=7 * one)), out)
    assert again.records == first.records  # what earlier sittings spent is spent
    more = await run_study(study(budget=budget, spending=SpendLimits(tokens=18 * one)), out)
    assert (len(more.records), more.incomplete) == (18, "")
    assert more.records[:6] == first.records
    check = verify_study(out)
    assert (check.problems, check.notes, check.finished) == ((), (), 18)
    folder = StudyFolder.load(out)
    assert limits_noted(folder) == SpendLimits(tokens=18 * one)
    assert why_incomplete(folder) == ""


def attempts_of(folder: Path) -> dict[str, list[Attempt]]:
    return attempts_in(read_log(folder / "ledger.jsonl"))


@dataclass(frozen=True, kw_only=True)
class Dear:
    """A subject of whose answers each costs a thousand tokens."""

    name: str = "dear"
    simulated: bool = True

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Dear]:
        yield self

    async def ask(self, *_: object, **__: object) -> Reply:
        await asyncio.sleep(0.01)
        usage = Usage(calls=1, prompt_tokens=990, completion_tokens=10)
        return Reply(message=AIMessage(content="so"), text="so", calls=(), usage=usage)


async def ask_ten_times(_env: Environment, context: Context) -> None:
    for _ in range(10):
        await context.key.ask([HumanMessage("and?")])


async def test_a_trial_that_is_cut_off_has_no_result_and_its_spending_counts(tmp_path: Path) -> None:
    """Nobody could know how long it takes: nothing was seen, and its scenario says next to nothing."""
    limit, out = 4000, tmp_path / "study"
    sitting = study(
        scenarios=[replace(note, steps=(0, 0))],
        subject=Dear(),
        arms=[Arm(name="asking", scaffold=Acting(act=ask_ten_times), baseline=True)],
        seeds=[0, 1],
        spending=SpendLimits(tokens=limit),
    )
    result = await run_study(sitting, out, concurrency=2)
    assert result.records == ()
    assert "0 of 2 trials run; incomplete: asking 0 of 2" in result.incomplete
    before = replied(out)
    assert limit <= before < limit + 2 * 1000  # two calls were in flight
    assert {attempt.status for each in attempts_of(out).values() for attempt in each} == {"started"}

    again = await run_study(replace(sitting, spending=SpendLimits(tokens=before + 1)), out)
    assert replied(out) == before  # no call was made: nothing is left
    assert again.records == ()

    shown: list[Progress] = []
    plenty = replace(sitting, spending=SpendLimits(tokens=100_000))
    done = await run_study(plenty, out, on_progress=shown.append)
    assert [record.outcome for record in done.records] == ["failure", "failure"]
    assert shown[-1].spent is not None
    assert shown[-1].spent.tokens == replied(out) == before + 20_000
    assert {each[0].status for each in attempts_of(out).values()} == {"interrupted"}
    check = verify_study(out)
    assert (check.problems, check.finished) == ((), 2)


async def test_an_arms_limit_leaves_the_others_running(tmp_path: Path) -> None:
    one = await a_trials_tokens(tmp_path / "one")
    budget = Budget(steps=10, seconds=20, tokens=one)
    dear = arm("dear", budget=Budget(steps=10, seconds=20, tokens=3 * one))
    result = await run_study(
        study(arms=[arm(baseline=True), dear], budget=budget, spending=SpendLimits(arm_tokens=6 * one)),
        tmp_path / "study",
    )
    assert Counter(record.arm for record in result.records) == {"full": 6, "dear": 4}
    assert {record.seed for record in result.records if record.arm == "dear"} == {0, 1, 2, 3}
    assert "stopped at the limit of arm dear" in result.incomplete
    assert "incomplete: dear 4 of 6" in result.incomplete


async def test_money_is_limited_only_where_it_is_counted(tmp_path: Path) -> None:
    unpriced = OpenAISubject(model="m", base_url="http://127.0.0.1:9/v1")
    for limited in ({"spending": SpendLimits(money=1)}, {"budget": Budget(money=1)}):
        with pytest.raises(DesignFault, match="what openai:m costs is not known: give --price IN,OUT"):
            await run_study(study(subject=unpriced, **limited), tmp_path / "study")
    assert not (tmp_path / "study" / "study.json").exists()


def test_limits_are_no_part_of_the_design() -> None:
    assert study().freeze().digest == study(spending=SpendLimits(tokens=9)).freeze().digest


async def test_the_report_says_at_its_top_that_it_is_of_a_part_and_why(tmp_path: Path) -> None:
    one = await a_trials_tokens(tmp_path / "one")
    budget = Budget(steps=10, seconds=20, tokens=one)
    await run_study(study(budget=budget, spending=SpendLimits(tokens=4 * one)), tmp_path / "study")
    folder = StudyFolder.load(tmp_path / "study")
    report = build_report(folder.records(), folder.design, incomplete=why_incomplete(folder))
    assert report.warnings[0].startswith("This study is incomplete: it stopped at the study's limit (")
    assert report.warnings[0] in render_markdown(report).replace("\\", "")
    assert report_as_json(report)["study"]["incomplete"].startswith("stopped at")


def test_from_the_command_line(call: Call) -> None:
    command = ("run", "find-fact", "--trials", 3, "--max-tokens", 60_000, "--concurrency", 1, "--out", "out")
    said = call(*command, "--max-study-tokens", 60_000)
    assert said.returncode == 130, said.stderr
    assert "redline: stopped at the study's limit (" in said.stderr
    assert "1 of 3 trials run" in said.stderr
    assert "go on with `redline resume out --max-study-tokens MORE`" in said.stderr
    assert "of 60,000 tokens spent" in said.stderr
    assert "This study is incomplete: it stopped" in call("report", "out", "--format", "md").stdout.replace(
        "\\", ""
    )
    assert call("resume", "out").returncode == 130  # under the limit it has
    said = call("resume", "out", "--max-study-tokens", 10_000_000, "--json")
    assert said.returncode == 0, said.stderr
    assert len(said.found["trials"]) == 3
    assert said.found["study"]["incomplete"] == ""
    assert call("verify", "out").returncode == 0
