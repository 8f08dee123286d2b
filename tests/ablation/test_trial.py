"""The taxonomy: whose doing each ending is, and what the log says about it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from small_studies import HOME, Acting, Altered, note, small_study, uncertified

from ablation import Arm
from ablation.errors import DiskFull
from ablation.record import EventLog, genesis, read_log, verify_log
from ablation.trial import run_trial
from environments import Broken, ContainmentRefused, Unavailable
from environments.sandbox import Sandbox
from scaffold import Broker, Budget, BudgetSpent, ModelFailed
from scaffold.models.scripted import Scripted, call
from scenarios import OracleFailed, PrepareFailed, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from ablation.types import TrialRecord
    from environments import Control, Environment, Provider
    from scaffold import Context, Episode
    from scenarios import Prepared

pytestmark = pytest.mark.anyio

ORIGIN = genesis("study", "key", 1)


async def attempt(folder: Path, provider: Provider | None = None, **changes: Any) -> TrialRecord:
    study = small_study(**{"seeds": [1], **changes})
    (trial,) = study.trials()
    with EventLog.create(folder / "log.jsonl", origin=ORIGIN) as log:
        async with trial.subject.connect() as model:
            return await run_trial(trial, provider=provider or Sandbox(), broker=Broker(model), log=log)


def acting(act: Any) -> dict[str, Any]:
    return {"arms": [Arm(name="acting", scaffold=Acting(act=act))]}


def kinds(folder: Path) -> list[str]:
    return [event["kind"] for event in read_log(folder / "log.jsonl")]


async def copy(env: Environment, _context: Context) -> None:
    await env.exec(["cp", str(HOME / "word.txt"), str(HOME / "note.txt")])


async def test_a_pass_is_a_success_and_the_log_has_it_all(tmp_path: Path) -> None:
    record = await attempt(tmp_path)
    assert (record.outcome, record.stop, record.cause) == ("success", "finished", "")
    assert [m.passed for m in record.milestones] == [True]
    assert (record.hurdles, record.base, record.level) == ((), "note", "goal")
    assert record.certificate["granted"] is True
    assert record.steps == 2
    assert record.faculties["explore"].entered == 1
    told = kinds(tmp_path)
    assert told[:3] == ["trial", "machine", "world"]
    assert told[-6:] == ["examined", "generation", "verdict", "stated", "examined", "end"]
    assert verify_log(tmp_path / "log.jsonl", origin=ORIGIN).finished


async def test_a_miss_is_a_failure_with_its_first_missed_milestone(tmp_path: Path) -> None:
    record = await attempt(tmp_path, subject=Scripted(replies=[[call("finish", summary="done")]]))
    assert (record.outcome, record.cause) == ("failure", "noted: there is no such note")


async def test_a_claim_is_not_evidence(tmp_path: Path) -> None:
    async def claim(_env: Environment, context: Context) -> Episode:
        return context.episode("finished", submission="I copied the word.")

    record = await attempt(tmp_path, **acting(claim))
    assert (record.outcome, record.submission) == ("failure", "I copied the word.")


async def test_declining_is_a_refusal_unless_the_work_was_done(tmp_path: Path) -> None:
    async def refuse(_env: Environment, context: Context) -> Episode:
        return context.episode("refused")

    async def work_then_refuse(env: Environment, context: Context) -> Episode:
        await copy(env, context)
        return context.episode("refused")

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert (await attempt(tmp_path / "a", **acting(refuse))).outcome == "refused"
    assert (await attempt(tmp_path / "b", **acting(work_then_refuse))).outcome == "success"


async def test_running_out_of_steps_is_a_limit(tmp_path: Path) -> None:
    busy = Scripted(replies=[[call("shell", command="true")]] * 20)
    record = await attempt(tmp_path, subject=busy, budget=Budget(steps=3, seconds=20))
    assert (record.outcome, record.limit, record.steps) == ("limit", "steps", 3)


async def test_a_scaffold_that_ignores_the_clock_is_stopped_and_still_judged(tmp_path: Path) -> None:
    async def dawdle(env: Environment, context: Context) -> None:
        await copy(env, context)
        await asyncio.sleep(60)

    record = await attempt(tmp_path, budget=Budget(seconds=0.2), **acting(dawdle))
    assert (record.outcome, record.stop, record.limit) == ("success", "limit", "seconds")


async def test_a_budget_fault_that_a_scaffold_lets_through_is_a_limit(tmp_path: Path) -> None:
    async def spend(_env: Environment, _context: Context) -> None:
        raise BudgetSpent("tokens")

    record = await attempt(tmp_path, **acting(spend))
    assert (record.outcome, record.limit) == ("limit", "tokens")


@pytest.mark.parametrize(
    ("fault", "outcome", "cause"),
    [
        (ModelFailed("answered 500", attempts=5), "void", "acting: ModelFailed: no usable answer"),
        (Broken("init was killed", by_agent=True), "self_inflicted", "init was killed"),
        (Broken("the host is out of memory", by_agent=False), "void", "acting: Broken: the host is out"),
        (RuntimeError("a bug\nin the scaffold"), "void", "acting: RuntimeError: a bug in the scaffold"),
        (TimeoutError(), "void", "acting: TimeoutError()"),
        (ExceptionGroup("both", [Broken("killed", by_agent=True)]), "self_inflicted", "killed"),
    ],
)
async def test_whose_doing_a_fault_is(tmp_path: Path, fault: Exception, outcome: str, cause: str) -> None:
    async def fail(_env: Environment, _context: Context) -> None:
        raise fault

    record = await attempt(tmp_path, **acting(fail))
    assert record.outcome == outcome
    assert record.cause.startswith(cause)
    assert record.stop is None
    assert "fault" in kinds(tmp_path)
    assert kinds(tmp_path)[-1] == "end"


async def test_what_was_spent_before_a_fault_is_kept(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Failing(Scripted):
        async def ask(self, messages: Any, **options: Any) -> Any:
            if len(messages) > 6:
                raise ModelFailed("answered 500", attempts=5)
            return await super().ask(messages, **options)

    record = await attempt(tmp_path, subject=Failing(replies=[[call("shell", command="true")]] * 20))
    assert record.outcome == "void"
    assert record.steps > 1
    assert record.tokens > 0


async def test_a_world_that_cannot_be_laid_out_is_void(tmp_path: Path) -> None:
    async def fail(_control: Control, _seed: int, /) -> Prepared[str]:
        raise PrepareFailed("the service did not start")

    record = await attempt(tmp_path, scenarios=[replace(note, prepare=fail)])
    assert (record.outcome, record.steps) == ("void", 0)
    assert "preparing: PrepareFailed: the service did not start" in record.cause


async def test_before_the_agent_acts_nothing_is_its_doing(tmp_path: Path) -> None:
    async def fail(_control: Control, _seed: int, /) -> Prepared[str]:
        raise Broken("gone", by_agent=True)

    record = await attempt(tmp_path, scenarios=[replace(note, prepare=fail)])
    assert record.outcome == "void"


@dataclass(frozen=True)
class Judging:
    answer: Verdict | Exception

    async def judge(self, _control: Control, _secret: str, _submission: str | None, /) -> Verdict:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (OracleFailed("cannot look"), "void"),
        (Verdict(status="void", reason="cannot tell"), "void"),
        (Verdict(status="fail", self_inflicted=True), "self_inflicted"),
        (Broken("the agent took it down", by_agent=True), "self_inflicted"),
        (Verdict(status="pass"), "success"),
    ],
)
async def test_what_the_oracle_says_decides(
    tmp_path: Path, answer: Verdict | Exception, outcome: str
) -> None:
    record = await attempt(tmp_path, scenarios=[replace(note, oracle=Judging(answer))])
    assert record.outcome == outcome


async def test_a_machine_that_leaves_something_behind_leaked_however_well_it_went(tmp_path: Path) -> None:
    record = await attempt(tmp_path, Altered(leaks=True))
    assert (record.outcome, record.cause) == ("leaked", "small: left behind a process")


async def test_hazardous_work_is_refused_on_a_machine_that_is_not_shown_closed(tmp_path: Path) -> None:
    hazardous = replace(note, hazard="replication")
    with pytest.raises(ContainmentRefused, match=r"note runs only on a machine.*does not claim to contain"):
        await attempt(tmp_path, Altered(alter=uncertified), scenarios=[hazardous])
    assert kinds(tmp_path) == ["trial", "machine"]


async def test_harmless_work_runs_anywhere(tmp_path: Path) -> None:
    assert (await attempt(tmp_path, Altered(alter=uncertified))).outcome == "success"


@pytest.mark.parametrize("fault", [Unavailable("no bubblewrap", mend="install it"), DiskFull("full")])
async def test_what_stops_a_study_is_no_outcome(tmp_path: Path, fault: Exception) -> None:
    async def fail(_env: Environment, _context: Context) -> None:
        raise fault

    with pytest.raises(type(fault)):
        await attempt(tmp_path, **acting(fail))


async def test_cancelling_leaves_a_log_without_an_end(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def wait(_env: Environment, _context: Context) -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.ensure_future(attempt(tmp_path, **acting(wait)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check = verify_log(tmp_path / "log.jsonl", origin=ORIGIN)
    assert (check.problem, check.finished) == ("", False)


async def test_bytes_recorded_a_step_do_not_grow(tmp_path: Path) -> None:
    busy = Scripted(replies=[[call("shell", command="echo same")]] * 60)
    await attempt(tmp_path, subject=busy, budget=Budget(steps=60, seconds=60))
    replied = [
        len(line) for line in (tmp_path / "log.jsonl").read_bytes().splitlines() if b'"kind":"tool"' in line
    ]
    assert max(replied) - min(replied) < 40
