from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from chat_server import ChatServer, completion, serving
from small_studies import arm, small_study

from ablation import run_study
from ablation.errors import FolderFault
from ablation.record import read_log
from ablation.report import build_report
from ablation.store import StudyFolder
from scaffold import Budget
from scaffold.models import Calling, OpenAISubject, Price, ReplyCache, Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from ablation import Study
    from ablation.runner import StudyResult

pytestmark = pytest.mark.anyio

COPY = [("shell", '{"command": "cp word.txt note.txt"}')]
FINISH = [("finish", '{"summary": "copied"}')]


async def copying(request: web.Request) -> web.Response:
    """Copies in its first turn and is done in its second; what it says is never the same twice."""
    asked = await request.json()
    spoken = sum(message["role"] == "assistant" for message in asked["messages"])
    times = len(request.app[next(iter(request.app))].requests)
    return web.json_response(completion(f"answer {times}", calls=FINISH if spoken else COPY))


def study_at(server: ChatServer, cache: Path | None, **changes: Any) -> Study:
    price = Price(prompt_per_million=1.0, completion_per_million=2.0)
    settings = {"sampling": changes.pop("sampling", Sampling()), "calling": changes.pop("calling", Calling())}
    return small_study(
        subject=OpenAISubject(model="m", base_url=server.url, price=price, **settings),
        reply_cache=None if cache is None else ReplyCache(cache),
        **changes,
    )


def said(result: StudyResult) -> list[list[str]]:
    logs = (result.folder / record.log for record in result.records)
    return [[event["text"] for event in read_log(log) if event["kind"] == "replied"] for log in logs]


async def test_a_study_run_again_asks_nobody_and_comes_to_the_same(tmp_path: Path) -> None:
    async with serving(copying) as server:
        first = await run_study(study_at(server, tmp_path / "replies"), tmp_path / "first")
        asked = len(server.requests)
        again = await run_study(study_at(server, tmp_path / "replies"), tmp_path / "again")
        assert len(server.requests) == asked > 0
        await run_study(study_at(server, None), tmp_path / "without")
        assert len(server.requests) == 2 * asked
    for before, after in zip(first.records, again.records, strict=True):
        assert (after.outcome, after.steps, after.tokens) == (before.outcome, before.steps, before.tokens)
        assert (before.outcome, before.answers_from_cache, before.cost_spared) == ("success", 0, 0.0)
        assert (after.answers_from_cache, after.tokens_from_cache) == (after.steps, after.tokens)
        assert (after.cost, after.cost_spared) == (0.0, before.cost)
        assert before.cost is not None
        assert before.cost > 0
    assert said(again) == said(first)
    marks = [e["from_cache"] for e in read_log(again.folder / again.records[0].log) if e["kind"] == "replied"]
    assert marks == [True] * again.records[0].steps
    design = StudyFolder.load(tmp_path / "again").design
    assert design["reply_cache"]["path"] == str(tmp_path / "replies")
    (told,) = [t for t in build_report(again.records, design).scope.statements if "given before" in t]
    assert told.startswith(
        f"{asked} of {asked} answers, with {sum(r.tokens for r in again.records):,} tokens"
    )
    plain = StudyFolder.load(tmp_path / "without")
    assert not [
        t for t in build_report(plain.records(), plain.design).scope.statements if "given before" in t
    ]


async def test_arms_that_ask_the_same_hear_the_same(tmp_path: Path) -> None:
    async with serving(copying) as server:
        arms = [arm("one", baseline=True), arm("two")]
        together = await run_study(study_at(server, tmp_path / "r", arms=arms, seeds=[0]), tmp_path / "a")
        assert len(server.requests) == together.records[0].steps
    one, two = said(together)
    assert one == two
    assert sum(record.answers_from_cache for record in together.records) == together.records[0].steps


@pytest.mark.parametrize("changed", [{"sampling": Sampling(temperature=0.5)}, {"seeds": [5, 6]}], ids=str)
async def test_another_setting_or_seed_is_asked_for(tmp_path: Path, changed: dict[str, Any]) -> None:
    async with serving(copying) as server:
        await run_study(study_at(server, tmp_path / "r"), tmp_path / "a")
        asked = len(server.requests)
        other = await run_study(study_at(server, tmp_path / "r", **changed), tmp_path / "b")
    assert len(server.requests) == 2 * asked
    assert sum(record.answers_from_cache for record in other.records) == 0


async def test_a_budget_ends_a_trial_at_the_same_step_whoever_pays(tmp_path: Path) -> None:
    async with serving(copying) as server:
        ends = []
        for name in ("paid", "spared"):
            study = study_at(
                server, tmp_path / "r", seeds=[0], budget=Budget(steps=9, seconds=20, money=1e-4)
            )
            (record,) = (await run_study(study, tmp_path / name)).records
            ends.append((record.outcome, record.limit, record.steps))
        assert len(server.requests) == ends[0][2]
    assert ends[0] == ends[1]
    assert ends[0][1] == "money"


async def test_a_cache_that_cannot_be_had_ends_the_study_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    async with serving(copying) as server:
        with pytest.raises(FolderFault, match="cannot use"):
            await run_study(study_at(server, tmp_path / "taken"), tmp_path / "out")
    assert server.requests == []
