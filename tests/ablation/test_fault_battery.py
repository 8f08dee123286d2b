"""Two hundred trials against a server that misbehaves in every way there is a name for."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from misbehaving_server import WAYS, Misbehaving, due
from small_studies import small_study

from ablation import Arm, run_study
from ablation.record import read_log
from ablation.store import StudyFolder
from scaffold import Budget, react
from scaffold.models import OpenAISubject, Patience, Price

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TRIALS = 200
SEED = 6
PATIENCE = Patience(attempts=4, first_wait_s=0.02, longest_wait_s=0.05)
TOKEN_LIMIT = 4000.5
STALLS = 3


async def battery(out: Path, server: Misbehaving) -> None:
    subject = OpenAISubject(
        model="x",
        base_url=server.url,
        stream=True,
        patience=PATIENCE,
        request_timeout_s=1.5,
        idle_timeout_s=0.8,
        price=Price(prompt_per_million=1.0, completion_per_million=1.0),
    )
    study = small_study(
        arms=[Arm(name="react", scaffold=react(), baseline=True)],
        seeds=list(range(TRIALS)),
        subject=subject,
        budget=Budget(steps=60, seconds=120, money=TOKEN_LIMIT / 1e6),
        void_retries=0,
    )
    async with asyncio.timeout(240):
        await run_study(study, out, concurrency=16)


async def test_every_trial_ends_as_what_it_was_sent_asks_for(tmp_path: Path) -> None:
    async with Misbehaving.serving(seed=SEED) as server:
        await battery(tmp_path / "out", server)
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
