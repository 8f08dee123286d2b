"""Trials against a server that misbehaves in every way there is a name for."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from misbehaving_server import WAYS, Misbehaving, due
from small_studies import note, small_study

from ablation import Arm, SpendLimits, run_study, verify_study
from ablation.ledger import attempts_in
from ablation.record import read_log
from ablation.store import StudyFolder
from scaffold import Budget, react
from scaffold.models import OpenAISubject, Patience, Price

if TYPE_CHECKING:
    from pathlib import Path

    from ablation import Study, StudyResult

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TRIALS = 200
SEED = 6
PATIENCE = Patience(attempts=4, first_wait_s=0.02, longest_wait_s=0.05)
TOKEN_LIMIT = 4000.5
STALLS = 3
AT_ONCE = 16


def battery(server: Misbehaving, *, trials: int, **changes: Any) -> Study:
    subject = OpenAISubject(
        model="x",
        base_url=server.url,
        stream=True,
        patience=PATIENCE,
        request_timeout_s=1.5,
        idle_timeout_s=0.8,
        price=Price(prompt_per_million=1.0, completion_per_million=1.0),
    )
    fields: dict[str, Any] = {
        "arms": [Arm(name="react", scaffold=react(), baseline=True)],
        "seeds": list(range(trials)),
        "subject": subject,
        "budget": Budget(steps=60, seconds=120, money=TOKEN_LIMIT / 1e6),
        "void_retries": 0,
    }
    return small_study(**{**fields, **changes})


async def sitting(study: Study, out: Path) -> StudyResult:
    async with asyncio.timeout(240):
        return await run_study(study, out, concurrency=AT_ONCE)


async def test_every_trial_ends_as_what_it_was_sent_asks_for(tmp_path: Path) -> None:
    async with Misbehaving.serving(seed=SEED) as server:
        await sitting(battery(server, trials=TRIALS), tmp_path / "out")
    records = {record.seed: record for record in StudyFolder.load(tmp_path / "out").records()}
    assert len(records) == TRIALS
    wrong = {}
    for trial, record in records.items():
        account = server.sent[trial]
        expected = due(account, attempts=PATIENCE.attempts, stalls=STALLS, token_limit=TOKEN_LIMIT)
        replied = [
            event
            for event in read_log(tmp_path / "out" / "trials" / f"react--note--{trial}.jsonl")
            if event["kind"] == "replied"
        ]
        found = (record.outcome, record.limit, record.steps, len(replied), record.tokens)
        if found != (expected.outcome, expected.limit, expected.calls, expected.answers, expected.tokens):
            wrong[trial] = (found, expected, [sent.way for sent in account], record.cause)
        # What was spent beyond the limit is less than what was in flight: one call.
        answered = [sent.tokens for sent in account if sent.place in {"answer", "another"}]
        assert record.cost is not None
        assert record.cost * 1e6 < TOKEN_LIMIT + max(answered, default=0)
    assert wrong == {}

    ways = Counter(sent.way for account in server.sent.values() for sent in account)
    assert set(WAYS) <= set(ways), set(WAYS) - set(ways)
    outcomes = Counter(record.outcome for record in records.values())
    assert set(outcomes) == {"success", "failure", "refused", "limit", "void"}, outcomes
    assert {record.limit for record in records.values()} == {None, "context", "money"}

    (pace,) = [event for event in read_log(tmp_path / "out" / "ledger.jsonl") if event["kind"] == "pace"]
    assert pace["attempts"] == sum(map(len, server.sent.values()))
    assert pace["refused"] > 0


def charged(server: Misbehaving) -> list[int]:
    """Tokens of every answer that the server gave, by its own account."""
    return [
        sent.tokens
        for account in server.sent.values()
        for sent in account
        if sent.place in {"answer", "another"}
    ]


async def test_a_studys_limit_is_passed_by_the_calls_in_flight_at_most_and_it_goes_on(tmp_path: Path) -> None:
    trials, limit, out = 60, 6_000, tmp_path / "out"
    async with Misbehaving.serving(seed=SEED) as server:
        # Without a cap and a guess of its steps nobody knows what a trial needs, so some may be cut off: how
        # many depends on the host. That the broker refuses each further call is held by the purse's tests.
        study = battery(
            server,
            trials=trials,
            scenarios=[replace(note, steps=(0, 0))],
            budget=Budget(steps=60, seconds=120),
            spending=SpendLimits(money=limit / 1e6),
        )
        first = await sitting(study, out)
        spent = charged(server)
        assert sum(spent) < limit + AT_ONCE * max(spent)
        assert "stopped at the study's limit" in first.incomplete
        assert 0 < len(first.records) < trials

        again = await sitting(study, out)
        assert (again.records, sum(charged(server)) < limit + AT_ONCE * max(spent)) == (first.records, True)

        whole = await sitting(replace(study, spending=SpendLimits(money=1)), out)
        assert whole.incomplete == ""
    assert sorted(record.seed for record in whole.records) == list(range(trials))
    stood = {record.seed: record for record in first.records}
    assert {record.seed: record for record in whole.records if record.seed in stood} == stood
    tries = attempts_in(read_log(out / "ledger.jsonl"))
    assert {[attempt.status for attempt in each].count("ended") for each in tries.values()} == {1}, tries
    assert verify_study(out).problems == ()
