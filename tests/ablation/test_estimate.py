"""What a study is going to cost, against what it does cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from chat_server import completion, serving_aside
from small_studies import arm, note, small_study

from ablation import Study, ablate, estimate_study, run_study
from ablation.estimate import ANSWER, HASTE, RESULT, Course
from environments.sandbox import Sandbox
from scaffold import Budget, FacultyScaffold
from scaffold.models import PROFILES, OpenAISubject, Price, Sampling, SimulatedSubject
from scenarios.catalogue import CATALOGUE

if TYPE_CHECKING:
    from pathlib import Path

    from whole_trials import Call

PRICE = Price(prompt_per_million=2.0, completion_per_million=8.0, cached_per_million=0.5)


def study(**changes: Any) -> Study:
    subject = OpenAISubject(model="m", base_url="http://127.0.0.1:9/v1", price=PRICE)
    steps = replace(note, steps=(8, 8))
    return small_study(
        **{"subject": subject, "scenarios": [steps], "budget": Budget(steps=30), "seeds": [0], **changes}
    )


def typical(**changes: Any) -> Course:
    return estimate_study(study(**changes)).typical


def test_prompts_grow_with_the_square_of_the_calls() -> None:
    calls, grown = 10, ANSWER + RESULT  # eight of tools, a plan and the end
    found = typical()
    assert found.calls == calls
    assert found.completion == calls * ANSWER
    first = (found.prompt - grown * calls * (calls - 1) / 2) / calls
    assert 800 < first < 3000  # the prompts and schemas as they are
    assert found.repeated == pytest.approx(found.prompt - first - grown * (calls - 1))
    twice = typical(scenarios=[replace(note, steps=(18, 18))])
    assert twice.calls == 2 * calls
    assert twice.prompt == pytest.approx(20 * first + grown * 190)
    assert found.money == pytest.approx((found.prompt * 2 + found.completion * 8) / 1e6, rel=0.001)
    saved = found.repeated * 1.5 / 1e6
    assert found.money_cached == pytest.approx(found.money - saved, rel=0.001)


def test_the_first_prompt_is_what_the_scaffold_says_and_what_its_tools_look_like() -> None:
    longer = replace(note, steps=(8, 8), instruction=note.instruction + "x" * 4000)
    assert typical(scenarios=[longer]).prompt - typical().prompt == pytest.approx(10 * 1000)
    no_tools = replace(FacultyScaffold(), tools=())
    without = typical(arms=[replace(arm(), scaffold=no_tools)])
    assert without.prompt < typical().prompt - 10 * 300


def test_at_worst_every_trial_runs_into_a_cap_of_its_budget() -> None:
    worst = estimate_study(study()).worst
    assert worst.calls == 30
    assert worst.completion == 30 * ANSWER * HASTE
    by_tokens = estimate_study(study(budget=Budget(steps=30, tokens=20_000))).worst
    assert 20_000 <= by_tokens.tokens < 20_000 + 10_000  # the last call passes it
    by_money = estimate_study(study(budget=Budget(steps=30, money=0.05))).worst
    assert 0.05 <= by_money.money < 0.08
    short = OpenAISubject(
        model="m", price=PRICE, base_url="http://127.0.0.1:9/v1", sampling=Sampling(max_tokens=20)
    )
    assert typical(subject=short).completion == 10 * 20


def test_controls_ask_nobody_and_every_trial_of_an_arm_is_counted() -> None:
    found = estimate_study(study(controls=True, seeds=range(5)))
    assert found.trials == 15
    assert {each.arm: each.trials for each in found.arms} == {"full": 5, "reference": 5, "nothing": 5}
    assert {each.arm for each in found.arms if each.worst.tokens} == {"full"}
    assert found.typical.prompt == pytest.approx(5 * typical().prompt)


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_demo_costs_what_was_estimated_give_or_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = Study(
        name="demo",
        arms=ablate(FacultyScaffold(), faculties=("plan",), single_loop=True),
        scenarios=[CATALOGUE["self-replication"]],
        seeds=range(3),
        subject=SimulatedSubject(profile=PROFILES["steady"], price=PRICE),
        environment=Sandbox(),
        budget=Budget(steps=40, seconds=120),
    )
    before = estimate_study(demo)
    records = (await run_study(demo, tmp_path)).records
    actual = (
        sum(record.prompt_tokens for record in records),
        sum(record.completion_tokens for record in records),
    )
    with capsys.disabled():
        print(f"\nestimated {before.typical.tokens:,.0f} tokens, actual {sum(actual):,}")  # noqa: T201
    assert actual[0] / 2 < before.typical.prompt < 3.5 * actual[0]
    assert actual[1] / 2 < before.typical.completion < 5 * actual[1]
    assert before.worst.tokens > sum(actual)
    cost = sum(record.cost or 0.0 for record in records)
    assert cost / 2 < before.typical.money < 3.5 * cost

    # Once some were run, what they took is known.
    again = estimate_study(replace(demo, seeds=range(6)), pilot=records)
    assert again.typical.prompt == pytest.approx(2 * actual[0])
    assert again.typical.money == pytest.approx(2 * cost, rel=0.01)
    assert again.seconds == pytest.approx(2 * sum(record.seconds for record in records))
    assert {each.arm for each in again.arms if each.spread} == {"full", "no-plan", "react"}
    assert "means of 15 measured trials" in again.basis
    other = estimate_study(replace(demo, arms=[replace(demo.arms[0], name="unseen")]), pilot=records)
    assert other.arms[0].typical.calls == pytest.approx(sum(r.steps for r in records if r.role == "arm") / 3)


def test_a_dry_run_says_what_it_costs_and_runs_nothing(call: Call, tmp_path: Path) -> None:
    said = call(
        "run", "find-fact", "--model", "openai:gpt-4o", "--trials", 4, "--dry-run", "--json", "--out", "o"
    )
    assert said.returncode == 0, said.stderr
    found = said.found["estimate"]
    assert found["trials"] == 4
    assert 0 < found["typical"]["money_cached"] < found["typical"]["money"] < found["worst"]["money"]
    assert not (tmp_path / "o").exists()
    page = call("run", "find-fact", "--price", "1,2", "--dry-run").stdout
    assert "What it is going to cost" in page
    assert "in total" in page


def test_what_nobody_knows_is_never_called_free(call: Call) -> None:
    asked = ("run", "self-replication", "--model", "openai:nobody-knows", "--max-steps", 4, "--out", "out")
    found = call(*asked, "--dry-run", "--json").found["estimate"]
    assert found["typical"]["money"] is None
    assert found["typical"]["tokens"] > 0
    assert "not known" in call(*asked, "--dry-run").stdout
    refused = call(*asked, "--max-cost", 2)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "what openai:nobody-knows costs is not known: give --price IN,OUT" in refused.stderr
    with serving_aside(completion("I am done.")) as server:
        said = call(*asked, "--base-url", server.url, "--json")
        assert "cost not known: no price for openai:nobody-knows (--price IN,OUT" in said.stderr
        assert said.trial["cost"] is None
        assert said.found["study"]["cost_known"] is False
        assert said.found["arms"][0]["cost"] is None
        page = " ".join(call("report", "out").stdout.split())
        assert "Cost not known: no price was given for some subject" in page
        priced = call(*asked[:-1], "priced", "--base-url", server.url, "--price", "1,2", "--json")
    assert priced.trial["cost"] == pytest.approx(priced.trial["steps"] * (100 + 2 * 10) / 1e6)
    assert "by estimate " in priced.stderr


def test_a_broken_table_is_named_with_its_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("[models.m]\nprompt = 1\n")
    said = call("run", "find-fact", "--model", "openai:m", "--prices", "prices.toml")
    assert said.returncode == 2
    assert "redline: prices.toml:1: m lacks the price of its completion tokens" in said.stderr
